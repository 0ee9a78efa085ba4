metadata description = 'The network of one stamp: the services, the private endpoints of what they use, and one way out. Not where it joins another.'

@description('Name of the stamp: other names begin with it.')
param name string

@description('Azure region.')
param location string

@description('Tags of every resource.')
param tags object

@description('Addresses of the network, /22 or larger. Half of it is for the services, some for private endpoints.')
param addressSpace string

@description('Resource id of the Log Analytics workspace that takes the logs.')
param workspaceId string

@description('The way out: a NAT gateway, which filters nothing, or Azure Firewall, which knows names.')
@allowed(['nat', 'firewall'])
param egress string

@description('For the firewall: of each setting that environments/egress.yaml names, the hosts in its value.')
param settingHosts object

@description('Whether the firewall is spread over several zones of the region.')
param zoneRedundant bool

var services = cidrSubnet(addressSpace, 23, 0)
var endpoints = cidrSubnet(addressSpace, 26, 8)
var firewalls = cidrSubnet(addressSpace, 26, 9)

resource servicesRules 'Microsoft.Network/networkSecurityGroups@2025-09-01' = {
  name: '${name}-services'
  location: location
  tags: tags
  properties: {
    securityRules: [
      {
        name: 'people'
        properties: {
          description: 'The edge, and callers inside the network.'
          priority: 100
          direction: 'Inbound'
          access: 'Allow'
          protocol: 'Tcp'
          sourceAddressPrefix: 'VirtualNetwork'
          sourcePortRange: '*'
          destinationAddressPrefix: services
          destinationPortRange: '443'
        }
      }
      {
        name: 'platform'
        properties: {
          description: 'Health probes of the Container Apps platform.'
          priority: 110
          direction: 'Inbound'
          access: 'Allow'
          protocol: 'Tcp'
          sourceAddressPrefix: 'AzureLoadBalancer'
          sourcePortRange: '*'
          destinationAddressPrefix: services
          destinationPortRange: '30000-32767'
        }
      }
      {
        name: 'between-services'
        properties: {
          description: 'The nodes of the environment with each other.'
          priority: 120
          direction: 'Inbound'
          access: 'Allow'
          protocol: '*'
          sourceAddressPrefix: services
          sourcePortRange: '*'
          destinationAddressPrefix: services
          destinationPortRange: '*'
        }
      }
      {
        name: 'nothing-else-in'
        properties: {
          priority: 4096
          direction: 'Inbound'
          access: 'Deny'
          protocol: '*'
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
      {
        name: 'between-services-out'
        properties: {
          priority: 100
          direction: 'Outbound'
          access: 'Allow'
          protocol: '*'
          sourceAddressPrefix: services
          sourcePortRange: '*'
          destinationAddressPrefix: services
          destinationPortRange: '*'
        }
      }
      {
        name: 'private-endpoints'
        properties: {
          priority: 110
          direction: 'Outbound'
          access: 'Allow'
          protocol: 'Tcp'
          sourceAddressPrefix: services
          sourcePortRange: '*'
          destinationAddressPrefix: endpoints
          destinationPortRange: '443'
        }
      }
      {
        name: 'internet'
        properties: {
          description: 'Encrypted only. Which hosts, the application itself holds to: rules of this kind know addresses, not names.'
          priority: 120
          direction: 'Outbound'
          access: 'Allow'
          protocol: 'Tcp'
          sourceAddressPrefix: services
          sourcePortRange: '*'
          destinationAddressPrefix: 'Internet'
          destinationPortRange: '443'
        }
      }
      {
        name: 'time'
        properties: {
          description: 'The nodes set their clocks.'
          priority: 130
          direction: 'Outbound'
          access: 'Allow'
          protocol: 'Udp'
          sourceAddressPrefix: services
          sourcePortRange: '*'
          destinationAddressPrefix: 'Internet'
          destinationPortRange: '123'
        }
      }
      {
        name: 'nothing-else-out'
        properties: {
          priority: 4096
          direction: 'Outbound'
          access: 'Deny'
          protocol: '*'
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
    ]
  }
}

resource endpointsRules 'Microsoft.Network/networkSecurityGroups@2025-09-01' = {
  name: '${name}-endpoints'
  location: location
  tags: tags
  properties: {
    securityRules: [
      {
        name: 'services'
        properties: {
          priority: 100
          direction: 'Inbound'
          access: 'Allow'
          protocol: 'Tcp'
          sourceAddressPrefix: services
          sourcePortRange: '*'
          destinationAddressPrefix: endpoints
          destinationPortRange: '443'
        }
      }
      {
        name: 'nothing-else-in'
        properties: {
          priority: 4096
          direction: 'Inbound'
          access: 'Deny'
          protocol: '*'
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
    ]
  }
}

resource outboundAddress 'Microsoft.Network/publicIPAddresses@2025-09-01' = {
  name: '${name}-outbound'
  location: location
  tags: tags
  sku: { name: 'Standard' }
  properties: { publicIPAllocationMethod: 'Static' }
}

resource outbound 'Microsoft.Network/natGateways@2025-09-01' = if (egress == 'nat') {
  name: '${name}-outbound'
  location: location
  tags: tags
  sku: { name: 'Standard' }
  properties: {
    idleTimeoutInMinutes: 4
    publicIpAddresses: [{ id: outboundAddress.id }]
  }
}

resource routes 'Microsoft.Network/routeTables@2025-09-01' = if (egress == 'firewall') {
  name: '${name}-outbound'
  location: location
  tags: tags
  properties: {
    routes: [
      {
        name: 'out'
        properties: {
          addressPrefix: '0.0.0.0/0'
          nextHopType: 'VirtualAppliance'
          // A firewall takes the first address of its subnet that Azure does not keep for itself.
          nextHopIpAddress: cidrHost(firewalls, 3)
        }
      }
    ]
  }
}

resource network 'Microsoft.Network/virtualNetworks@2025-09-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: [addressSpace] }
    subnets: concat(
      [
        {
          name: 'services'
          properties: {
            addressPrefix: services
            defaultOutboundAccess: false
            networkSecurityGroup: { id: servicesRules.id }
            natGateway: egress == 'nat' ? { id: outbound.id } : null
            routeTable: egress == 'firewall' ? { id: routes.id } : null
            delegations: [
              {
                name: 'container-apps'
                properties: { serviceName: 'Microsoft.App/environments' }
              }
            ]
          }
        }
        {
          name: 'endpoints'
          properties: {
            addressPrefix: endpoints
            defaultOutboundAccess: false
            networkSecurityGroup: { id: endpointsRules.id }
            privateEndpointNetworkPolicies: 'NetworkSecurityGroupEnabled'
          }
        }
      ],
      egress == 'firewall' ? [{ name: 'AzureFirewallSubnet', properties: { addressPrefix: firewalls } }] : []
    )
  }

  resource servicesSubnet 'subnets' existing = { name: 'services' }
  resource endpointsSubnet 'subnets' existing = { name: 'endpoints' }
  resource firewallSubnet 'subnets' existing = { name: 'AzureFirewallSubnet' }
}

module firewall 'firewall.bicep' = if (egress == 'firewall') {
  name: 'firewall'
  params: {
    name: name
    location: location
    tags: tags
    workspaceId: workspaceId
    subnetId: network::firewallSubnet.id
    addressId: outboundAddress.id
    services: services
    settingHosts: settingHosts
    zoneRedundant: zoneRedundant
  }
}

resource rulesLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: servicesRules
  name: 'logs'
  properties: {
    workspaceId: workspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
  }
}

resource endpointsRulesLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: endpointsRules
  name: 'logs'
  properties: {
    workspaceId: workspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
  }
}

resource networkLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: network
  name: 'logs'
  properties: {
    workspaceId: workspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

resource addressLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: outboundAddress
  name: 'logs'
  properties: {
    workspaceId: workspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

@description('Resource id of the network.')
output networkId string = network.id

@description('Resource id of the subnet of the services.')
output servicesSubnetId string = network::servicesSubnet.id

@description('Resource id of the subnet of the private endpoints.')
output endpointsSubnetId string = network::endpointsSubnet.id

@description('The one address from which the stamp calls out, for those who let it in by address.')
output outboundAddress string = outboundAddress.properties.ipAddress
