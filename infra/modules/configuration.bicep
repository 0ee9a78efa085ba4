metadata description = 'The configuration: a store of App Configuration that is reached inside the network only, who may read it and who may write it.'

@description('Name of the stamp: other names begin with it.')
param name string

@description('Azure region.')
param location string

@description('Tags of every resource.')
param tags object

@description('Resource id of the Log Analytics workspace that takes the logs.')
param workspaceId string

@description('Names of the identities that read.')
param readers array

@description('Names of the identities that write.')
param writers array

@description('Whether the identities are of another tenant than who deploys: a managed application of a publisher.')
param crossTenant bool

var dataReader = '516239f1-63e1-4d78-a4de-a74fb236a071'
var dataOwner = '5ae67dd6-50cb-40e7-96ff-dc2bfa4b606b'
var grants = concat(
  map(readers, reader => { identity: reader, role: dataReader }),
  map(writers, writer => { identity: writer, role: dataOwner })
)

// Its values are loaded by the job, from inside the network: a template cannot write to a store without a public address.
resource settings 'Microsoft.AppConfiguration/configurationStores@2024-06-01' = {
  name: '${name}-${uniqueString(resourceGroup().id)}'
  location: location
  tags: tags
  sku: { name: 'standard' }
  properties: {
    disableLocalAuth: true
    publicNetworkAccess: 'Disabled'
    enablePurgeProtection: true
    softDeleteRetentionInDays: 7
    dataPlaneProxy: { authenticationMode: 'Pass-through', privateLinkDelegation: 'Disabled' }
  }
}

resource identities 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = [
  for grant in grants: { name: '${name}-${grant.identity}' }
]

resource mayUse 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (grant, i) in grants: {
    scope: settings
    name: guid(settings.id, identities[i].id, grant.role)
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', grant.role)
      principalId: identities[i].properties.principalId
      principalType: 'ServicePrincipal'
      delegatedManagedIdentityResourceId: crossTenant ? identities[i].id : null
    }
  }
]

// The audit says who changed what: it is of the publisher's people, and holds no value.
resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: settings
  name: 'logs'
  properties: {
    workspaceId: workspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

@description('Resource id of the store.')
output storeId string = settings.id

@description('Where it is reached, inside the network.')
output address string = settings.properties.endpoint
