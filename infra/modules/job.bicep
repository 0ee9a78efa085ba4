metadata description = 'One job, as environments/services.yaml declares it: it runs when somebody starts it, inside the network.'

@description('Name of the stamp: the name of the identity begins with it.')
param name string

@description('Name of the job.')
param job string

@description('Azure region.')
param location string

@description('Tags of every resource.')
param tags object

@description('Resource id of the environment.')
param environmentId string

@description('The job, as it stands in the file.')
param declared object

@description('Names of the settings that it is given.')
param settingNames array

@description('The values of all settings, by name.')
param settings object

@description('The image, by its digest.')
param image string

@description('Resource id of the identity that may pull the image; empty where the image is public.')
param pullIdentityId string

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = {
  name: '${name}-${declared.identity}'
}

resource run 'Microsoft.App/jobs@2026-01-01' = {
  name: job
  location: location
  tags: tags
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: empty(pullIdentityId)
      ? { '${identity.id}': {} }
      : { '${identity.id}': {}, '${pullIdentityId}': {} }
  }
  properties: {
    environmentId: environmentId
    workloadProfileName: 'Consumption'
    configuration: {
      triggerType: 'Manual'
      replicaTimeout: 600
      replicaRetryLimit: 2
      manualTriggerConfig: { parallelism: 1, replicaCompletionCount: 1 }
      registries: empty(pullIdentityId) ? [] : [{ server: split(image, '/')[0], identity: pullIdentityId }]
      identitySettings: empty(pullIdentityId)
        ? [{ identity: identity.id, lifecycle: 'Main' }]
        : [{ identity: identity.id, lifecycle: 'Main' }, { identity: pullIdentityId, lifecycle: 'None' }]
    }
    template: {
      containers: [
        {
          name: job
          image: image
          command: declared.command
          resources: { cpu: json('0.5'), memory: '1Gi' }
          env: [for setting in settingNames: { name: setting, value: settings[setting] }]
        }
      ]
    }
  }
}
