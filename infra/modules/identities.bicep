metadata description = 'One identity for each service, never shared. What each may do is said where the thing is that it may do it to.'

@description('Name of the stamp: other names begin with it.')
param name string

@description('Azure region.')
param location string

@description('Tags of every resource.')
param tags object

@description('Names of the identities, as environments/services.yaml has them.')
param identityNames array

resource identities 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = [
  for identity in identityNames: {
    name: '${name}-${identity}'
    location: location
    tags: tags
  }
]

@description('Client ids, in the order of the names.')
output clientIds array = [for (identity, i) in identityNames: identities[i].properties.clientId]

@description('Object ids of their service principals, in the order of the names.')
output principalIds array = [for (identity, i) in identityNames: identities[i].properties.principalId]
