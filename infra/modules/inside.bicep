metadata description = 'The edge inside the network only: how callers there find the environment by name.'

@description('Tags of every resource.')
param tags object

@description('What the host names of the environment end in.')
param domain string

@description('The address of the environment.')
param address string

@description('Resource id of the network from which it is found.')
param networkId string

resource zone 'Microsoft.Network/privateDnsZones@2024-06-01' = {
  name: domain
  location: 'global'
  tags: tags

  resource every 'A' = {
    name: '*'
    properties: { ttl: 3600, aRecords: [{ ipv4Address: address }] }
  }

  resource link 'virtualNetworkLinks' = {
    name: 'stamp'
    location: 'global'
    tags: tags
    properties: { registrationEnabled: false, virtualNetwork: { id: networkId } }
  }
}
