metadata description = 'One service, as environments/services.yaml declares it.'

@description('Name of the stamp: the name of the identity begins with it.')
param name string

@description('Name of the service.')
param service string

@description('Azure region.')
param location string

@description('Tags of every resource.')
param tags object

@description('Resource id of the Log Analytics workspace that takes the logs.')
param workspaceId string

@description('Resource id of the environment.')
param environmentId string

@description('The service, as it stands in the file.')
param declared object

@description('Names of the settings that it is given.')
param settingNames array

@description('The values of all settings, by name.')
param settings object

@description('By setting, the address of the secret in Key Vault that is its value.')
param vaultSettings object

@description('The image, by its digest.')
param image string

@description('Resource id of the identity that may pull the image; empty where the image is public.')
param pullIdentityId string

@description('Fewest and most replicas.')
param replicas object

@description('Name of this revision; empty for one that Azure makes up.')
param revision string

@description('Name of the revision that gets the traffic which this one does not get; empty: this one gets all.')
param stableRevision string

@description('How much of the traffic this revision gets, in per cent, if there is a stable one.')
@minValue(0)
@maxValue(100)
param weight int

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = {
  name: '${name}-${declared.identity}'
}

resource app 'Microsoft.App/containerApps@2026-01-01' = {
  name: service
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
      activeRevisionsMode: 'Multiple'
      maxInactiveRevisions: 5
      secrets: map(items(vaultSettings), secret => {
        name: secret.key
        keyVaultUrl: secret.value
        identity: identity.id
      })
      registries: empty(pullIdentityId) ? [] : [{ server: split(image, '/')[0], identity: pullIdentityId }]
      // The code has no way to be the identity that pulls.
      identitySettings: empty(pullIdentityId)
        ? [{ identity: identity.id, lifecycle: 'Main' }]
        : [{ identity: identity.id, lifecycle: 'Main' }, { identity: pullIdentityId, lifecycle: 'None' }]
      ingress: {
        external: declared.public
        targetPort: declared.port
        transport: 'http'
        allowInsecure: false
        // Also the one that gets all traffic is the candidate: flags go on sending tenants to it for some seconds.
        traffic: empty(stableRevision)
          ? [{ latestRevision: true, weight: 100, label: 'candidate' }]
          : [
              { revisionName: '${service}--${stableRevision}', weight: 100 - weight, label: 'stable' }
              { revisionName: '${service}--${revision}', weight: weight, label: 'candidate' }
            ]
      }
    }
    template: {
      revisionSuffix: empty(revision) ? null : revision
      terminationGracePeriodSeconds: 30
      containers: [
        {
          name: service
          image: image
          command: declared.command
          resources: { cpu: json('1.0'), memory: '2Gi' }
          env: concat(
            map(settingNames, setting => { name: setting, value: settings[setting] }),
            map(items(vaultSettings), secret => { name: secret.key, secretRef: secret.key })
          )
          probes: [
            {
              type: 'Startup'
              httpGet: { path: declared.probes.ready, port: declared.port, scheme: 'HTTP' }
              periodSeconds: 2
              failureThreshold: 30
            }
            {
              type: 'Liveness'
              httpGet: { path: declared.probes.live, port: declared.port, scheme: 'HTTP' }
              periodSeconds: 10
              failureThreshold: 3
            }
            {
              type: 'Readiness'
              httpGet: { path: declared.probes.ready, port: declared.port, scheme: 'HTTP' }
              periodSeconds: 5
              failureThreshold: 3
            }
          ]
        }
      ]
      scale: {
        minReplicas: replicas.fewest
        maxReplicas: replicas.most
        pollingInterval: 15
        cooldownPeriod: 300
        rules: [
          { name: 'requests', http: { metadata: { concurrentRequests: string(declared.scale.requests) } } }
          {
            name: 'processor'
            custom: { type: 'cpu', metadata: { type: 'Utilization', value: string(declared.scale.cpu) } }
          }
        ]
      }
    }
  }
}

resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: app
  name: 'logs'
  properties: {
    workspaceId: workspaceId
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}
