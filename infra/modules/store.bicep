metadata description = 'The store: an account of Azure Cosmos DB with the containers that the adapter declares, and who may read and write them.'

@description('Name of the stamp: other names begin with it.')
param name string

@description('Azure region.')
param location string

@description('Tags of every resource.')
param tags object

@description('Resource id of the Log Analytics workspace that takes the logs.')
param workspaceId string

@description('The containers, as environments/containers.yaml has them.')
param containers array

@description('Most request units a second of each container; it scales down to a tenth by itself.')
@minValue(1000)
param throughput int

@description('Whether copies lie in several zones of the region.')
param zoneRedundant bool

@description('Names of the identities that read and write.')
param users array

var contributor = '00000000-0000-0000-0000-000000000002'

resource account 'Microsoft.DocumentDB/databaseAccounts@2026-03-15' = {
  name: '${name}-${uniqueString(resourceGroup().id)}'
  location: location
  tags: tags
  kind: 'GlobalDocumentDB'
  properties: {
    databaseAccountOfferType: 'Standard'
    locations: [{ locationName: location, failoverPriority: 0, isZoneRedundant: zoneRedundant }]
    consistencyPolicy: { defaultConsistencyLevel: 'Session' }
    capabilities: [{ name: 'EnableNoSQLVectorSearch' }]
    capacity: { totalThroughputLimit: throughput * length(containers) }
    backupPolicy: { type: 'Continuous', continuousModeProperties: { tier: 'Continuous30Days' } }
    disableLocalAuth: true
    disableKeyBasedMetadataWriteAccess: true
    minimalTlsVersion: 'Tls12'
    publicNetworkAccess: 'Disabled'
    networkAclBypass: 'None'
    isVirtualNetworkFilterEnabled: false
  }

  resource contributorRole 'sqlRoleDefinitions' existing = { name: contributor }
}

resource database 'Microsoft.DocumentDB/databaseAccounts/sqlDatabases@2026-03-15' = {
  parent: account
  name: 'mandate'
  location: location
  tags: tags
  properties: { resource: { id: 'mandate' } }
}

@batchSize(1)
resource collections 'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers@2026-03-15' = [
  for container in containers: {
    parent: database
    name: container.id
    location: location
    tags: tags
    properties: {
      resource: container
      options: { autoscaleSettings: { maxThroughput: throughput } }
    }
  }
]

resource identities 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = [
  for user in users: { name: '${name}-${user}' }
]

resource mayUse 'Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments@2026-03-15' = [
  for (user, i) in users: {
    parent: account
    name: guid(database.id, identities[i].id, contributor)
    properties: {
      roleDefinitionId: account::contributorRole.id
      principalId: identities[i].properties.principalId
      scope: '${account.id}/dbs/${database.name}'
    }
  }
]

resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: account
  name: 'logs'
  properties: {
    workspaceId: workspaceId
    logAnalyticsDestinationType: 'Dedicated'
    // Not what queries ask for: their text and parameters name tenants and documents.
    logs: [
      { category: 'ControlPlaneRequests', enabled: true }
      { category: 'PartitionKeyRUConsumption', enabled: true }
      { category: 'PartitionKeyStatistics', enabled: true }
    ]
    metrics: [{ category: 'Requests', enabled: true }]
  }
}

@description('Resource id of the account.')
output accountId string = account.id

@description('The address of the database: that of the account, with its name as the path.')
output address string = '${account.properties.documentEndpoint}${database.name}'
