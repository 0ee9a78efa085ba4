metadata description = 'What vouches for evidence: a key that signs and never leaves, and blobs that nobody can change. Apart from the store.'

@description('Name of the stamp: names of identities begin with it.')
param name string

@description('Azure region.')
param location string

@description('Tags of every resource.')
param tags object

@description('Resource id of the Log Analytics workspace that takes the logs.')
param workspaceId string

@description('Whether copies lie in several zones of the region.')
param zoneRedundant bool

@description('For how many days an anchor can be neither changed nor deleted.')
@minValue(1)
@maxValue(146000)
param days int

@description('Unlocked: the days may still be shortened. Locked: never again. An account begins unlocked.')
@allowed(['Unlocked', 'Locked'])
param policy string

@description('Names of the identities that sign.')
param signers array

@description('Names of the identities that write anchors.')
param writers array

@description('Names of the identities that note erasures.')
param noters array

@description('Names of the identities that read the secrets of the vault, each of which somebody put there by hand.')
param vaultReaders array

@description('Whether the identities are of another tenant than who deploys: a managed application.')
param crossTenant bool

var cryptoUser = '12338af0-0e69-4776-bea7-57ae8d297424'
var secretsUser = '4633458b-17de-408a-b874-0445c86b69e6'
var blobContributor = 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'

resource vault 'Microsoft.KeyVault/vaults@2026-02-01' = {
  name: 'mandate-${uniqueString(resourceGroup().id)}'
  location: location
  tags: tags
  properties: {
    tenantId: subscription().tenantId
    sku: { family: 'A', name: 'premium' }
    enableRbacAuthorization: true
    enableSoftDelete: true
    enablePurgeProtection: true
    softDeleteRetentionInDays: 90
    publicNetworkAccess: 'Disabled'
    networkAcls: { defaultAction: 'Deny', bypass: 'None' }
  }
}

// Its version is part of every signature's check, so it is not rotated: a new stamp has a new key.
resource key 'Microsoft.KeyVault/vaults/keys@2026-02-01' = {
  parent: vault
  name: 'evidence'
  tags: tags
  properties: {
    kty: 'EC-HSM'
    curveName: 'P-256'
    keyOps: ['sign', 'verify']
    attributes: { enabled: true, exportable: false }
  }
}

resource account 'Microsoft.Storage/storageAccounts@2026-04-01' = {
  name: 'evidence${take(uniqueString(resourceGroup().id, 'evidence'), 13)}'
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: zoneRedundant ? 'Standard_ZRS' : 'Standard_LRS' }
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    isLocalUserEnabled: false
    minimumTlsVersion: 'TLS1_2'
    publicNetworkAccess: 'Disabled'
    supportsHttpsTrafficOnly: true
    networkAcls: { defaultAction: 'Deny', bypass: 'None' }
    encryption: {
      keySource: 'Microsoft.Storage'
      requireInfrastructureEncryption: true
      services: { blob: { enabled: true, keyType: 'Account' } }
    }
    immutableStorageWithVersioning: {
      enabled: true
      immutabilityPolicy: {
        state: policy
        immutabilityPeriodSinceCreationInDays: days
        allowProtectedAppendWrites: false
      }
    }
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2026-04-01' = {
  parent: account
  name: 'default'
  properties: {
    isVersioningEnabled: true
    deleteRetentionPolicy: { enabled: true, days: 30 }
    containerDeleteRetentionPolicy: { enabled: true, days: 30 }
  }
}

resource anchors 'Microsoft.Storage/storageAccounts/blobServices/containers@2026-04-01' = {
  parent: blobs
  name: 'anchors'
  properties: { publicAccess: 'None' }
}

// An erasure is a blob of its own, so that the policy of the account holds for each.
resource erasures 'Microsoft.Storage/storageAccounts/blobServices/containers@2026-04-01' = {
  parent: blobs
  name: 'erasures'
  properties: { publicAccess: 'None' }
}

resource signerIdentities 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = [
  for signer in signers: { name: '${name}-${signer}' }
]

resource maySign 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (signer, i) in signers: {
    scope: key
    name: guid(key.id, signerIdentities[i].id, cryptoUser)
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', cryptoUser)
      principalId: signerIdentities[i].properties.principalId
      principalType: 'ServicePrincipal'
      delegatedManagedIdentityResourceId: crossTenant ? signerIdentities[i].id : null
    }
  }
]

resource writerIdentities 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = [
  for writer in writers: { name: '${name}-${writer}' }
]

resource mayAnchor 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (writer, i) in writers: {
    scope: anchors
    name: guid(anchors.id, writerIdentities[i].id, blobContributor)
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', blobContributor)
      principalId: writerIdentities[i].properties.principalId
      principalType: 'ServicePrincipal'
      delegatedManagedIdentityResourceId: crossTenant ? writerIdentities[i].id : null
    }
  }
]

resource readerIdentities 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = [
  for reader in vaultReaders: { name: '${name}-${reader}' }
]

resource mayRead 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (reader, i) in vaultReaders: {
    scope: vault
    name: guid(vault.id, readerIdentities[i].id, secretsUser)
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', secretsUser)
      principalId: readerIdentities[i].properties.principalId
      principalType: 'ServicePrincipal'
      delegatedManagedIdentityResourceId: crossTenant ? readerIdentities[i].id : null
    }
  }
]

resource noterIdentities 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = [
  for noter in noters: { name: '${name}-${noter}' }
]

resource mayNote 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (noter, i) in noters: {
    scope: erasures
    name: guid(erasures.id, noterIdentities[i].id, blobContributor)
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', blobContributor)
      principalId: noterIdentities[i].properties.principalId
      principalType: 'ServicePrincipal'
      delegatedManagedIdentityResourceId: crossTenant ? noterIdentities[i].id : null
    }
  }
]

resource vaultLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: vault
  name: 'logs'
  properties: {
    workspaceId: workspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

resource anchorLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: blobs
  name: 'logs'
  properties: {
    workspaceId: workspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'Transaction', enabled: true }]
  }
}

@description('Resource id of the key vault.')
output vaultId string = vault.id

@description('Where the secrets of the vault are: followed by the name of one, its address without a version.')
output vaultSecrets string = '${vault.properties.vaultUri}secrets/'

@description('Resource id of the storage account.')
output accountId string = account.id

@description('The version of the key that signs.')
output signer string = key.properties.keyUriWithVersion

@description('The container of anchors.')
output anchor string = '${account.properties.primaryEndpoints.blob}${anchors.name}'

@description('The container in which erasures are noted.')
output journal string = '${account.properties.primaryEndpoints.blob}${erasures.name}'
