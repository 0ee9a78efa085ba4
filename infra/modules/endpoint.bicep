metadata description = 'A private endpoint: an address inside the network for one resource that has no other.'

@description('Name of the endpoint.')
param name string

@description('Azure region.')
param location string

@description('Tags of every resource.')
param tags object

@description('Resource id of the subnet that the endpoint is in.')
param subnetId string

@description('Resource id of what is reached.')
param targetId string

@description('Which part of the target is reached, such as Sql or blob.')
param groupId string

@description('Resource ids of the private DNS zones in which it is found; empty where a policy of the network sees to that.')
param zoneIds array

resource endpoint 'Microsoft.Network/privateEndpoints@2025-09-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    subnet: { id: subnetId }
    customNetworkInterfaceName: name
    privateLinkServiceConnections: [
      {
        name: name
        properties: {
          privateLinkServiceId: targetId
          groupIds: [groupId]
        }
      }
    ]
  }
}

resource zoneGroup 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2025-09-01' = if (!empty(zoneIds)) {
  parent: endpoint
  name: 'default'
  properties: {
    privateDnsZoneConfigs: [
      for zone in zoneIds: {
        name: replace(last(split(zone, '/')), '.', '-')
        properties: { privateDnsZoneId: zone }
      }
    ]
  }
}
