metadata description = 'Private DNS zones, in which the private endpoints of a stamp are found from its network.'

@description('Tags of every resource.')
param tags object

@description('Names of the zones.')
param zoneNames array

@description('Resource id of the network from which they are found.')
param networkId string

@description('Name of the stamp, and of the links.')
param name string

resource zones 'Microsoft.Network/privateDnsZones@2024-06-01' = [
  for zone in zoneNames: {
    name: zone
    location: 'global'
    tags: tags
  }
]

resource links 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [
  for (zone, i) in zoneNames: {
    parent: zones[i]
    name: name
    location: 'global'
    tags: tags
    properties: {
      registrationEnabled: false
      virtualNetwork: { id: networkId }
    }
  }
]
