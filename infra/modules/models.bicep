metadata description = 'One account of Azure AI Foundry and the deployments that the catalogue names for it.'

@description('Name of the stamp: names of identities begin with it.')
param name string

@description('What the account is for: primary, or failover.')
param role string

@description('Azure region of the account.')
param location string

@description('Tags of every resource.')
param tags object

@description('Resource id of the Log Analytics workspace that takes the logs.')
param workspaceId string

@description('The targets of environments/<environment>/models.yaml that this account serves, each deployment once.')
param targets array

@description('How the deployments process: within the region, or within the data zone. Never all over the world.')
@allowed(['Standard', 'DataZoneStandard'])
param processing string

@description('Of each deployment, in thousands of tokens a minute.')
@minValue(1)
param capacity int

@description('Of models with throughput of their own, the units, by name. What those cannot take spills over to a deployment paid by use.')
param provisioned object

@description('Names of the identities that call the models.')
param users array

@description('Names of the identities that ask Content Safety, which is a part of the account.')
param guardUsers array

@description('Whether the identities are of another tenant than who deploys: a managed application.')
param crossTenant bool

var openAiUser = '5e0bd9bd-7b93-4f28-af87-19fc36ad61bd'
// Content Safety knows no narrower role. It could list keys, which the account refuses.
var cognitiveUser = 'a97b65f3-24c7-4388-baec-2e87135dc908'
var unique = '${name}-${role}-${uniqueString(resourceGroup().id)}'

resource account 'Microsoft.CognitiveServices/accounts@2026-03-01' = {
  name: unique
  location: location
  tags: tags
  kind: 'AIServices'
  sku: { name: 'S0' }
  properties: {
    customSubDomainName: unique
    disableLocalAuth: true
    publicNetworkAccess: 'Disabled'
    networkAcls: { defaultAction: 'Deny' }
    restrictOutboundNetworkAccess: true
    allowedFqdnList: []
  }
}

resource filters 'Microsoft.CognitiveServices/accounts/raiPolicies@2026-03-01' = {
  parent: account
  name: 'mandate'
  properties: {
    basePolicyName: 'Microsoft.DefaultV2'
    mode: 'Blocking'
    contentFilters: [
      { name: 'Hate', source: 'Prompt', severityThreshold: 'Medium', enabled: true, blocking: true }
      { name: 'Hate', source: 'Completion', severityThreshold: 'Medium', enabled: true, blocking: true }
      { name: 'Sexual', source: 'Prompt', severityThreshold: 'Medium', enabled: true, blocking: true }
      { name: 'Sexual', source: 'Completion', severityThreshold: 'Medium', enabled: true, blocking: true }
      { name: 'Violence', source: 'Prompt', severityThreshold: 'Medium', enabled: true, blocking: true }
      { name: 'Violence', source: 'Completion', severityThreshold: 'Medium', enabled: true, blocking: true }
      { name: 'Selfharm', source: 'Prompt', severityThreshold: 'Medium', enabled: true, blocking: true }
      { name: 'Selfharm', source: 'Completion', severityThreshold: 'Medium', enabled: true, blocking: true }
      { name: 'Jailbreak', source: 'Prompt', enabled: true, blocking: true }
      { name: 'Protected Material Text', source: 'Completion', enabled: true, blocking: true }
    ]
  }
}

var byUnits = { Standard: 'ProvisionedManaged', DataZoneStandard: 'DataZoneProvisionedManaged' }
// What is spilled over to comes first. The catalogue's name stays that of the deployment which is called.
var planned = flatten(map(
  targets,
  target =>
    contains(provisioned, target.model)
      ? [
          union(target, { name: '${target.model}-spillover', sku: processing, capacity: capacity })
          union(target, {
            name: target.model
            sku: byUnits[processing]
            capacity: provisioned[target.model]
            spillover: '${target.model}-spillover'
          })
        ]
      : [union(target, { name: target.model, sku: processing, capacity: capacity })]
))

// One after the other: an account takes one change at a time.
@batchSize(1)
resource deployments 'Microsoft.CognitiveServices/accounts/deployments@2026-03-01' = [
  for target in planned: {
    parent: account
    name: target.name
    tags: tags
    sku: { name: target.sku, capacity: target.capacity }
    properties: {
      model: { format: 'OpenAI', name: target.model, version: target.version }
      versionUpgradeOption: 'NoAutoUpgrade'
      raiPolicyName: filters.name
      spilloverDeploymentName: target.?spillover
    }
  }
]

resource identities 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = [
  for user in users: { name: '${name}-${user}' }
]

resource mayCall 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (user, i) in users: {
    scope: account
    name: guid(account.id, identities[i].id, openAiUser)
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', openAiUser)
      principalId: identities[i].properties.principalId
      principalType: 'ServicePrincipal'
      delegatedManagedIdentityResourceId: crossTenant ? identities[i].id : null
    }
  }
]

resource guardIdentities 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = [
  for user in guardUsers: { name: '${name}-${user}' }
]

resource mayAskGuards 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (user, i) in guardUsers: {
    scope: account
    name: guid(account.id, guardIdentities[i].id, cognitiveUser)
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', cognitiveUser)
      principalId: guardIdentities[i].properties.principalId
      principalType: 'ServicePrincipal'
      delegatedManagedIdentityResourceId: crossTenant ? guardIdentities[i].id : null
    }
  }
]

resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: account
  name: 'logs'
  properties: {
    workspaceId: workspaceId
    // Not RequestResponse and Trace, which may quote what was asked.
    logs: [{ category: 'Audit', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

@description('Resource id of the account.')
output accountId string = account.id

@description('Where the models answer.')
output address string = account.properties.endpoints['OpenAI Language Model Instance API']

@description('Where Content Safety answers.')
output safetyAddress string = account.properties.endpoint
