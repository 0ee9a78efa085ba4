metadata description = 'Azure Firewall as the way out: the network calls what environments/egress.yaml names, and nothing else.'

@description('Name of the stamp: other names begin with it.')
param name string

@description('Azure region.')
param location string

@description('Tags of every resource.')
param tags object

@description('Resource id of the Log Analytics workspace that takes the logs.')
param workspaceId string

@description('Resource id of the subnet that is named AzureFirewallSubnet.')
param subnetId string

@description('Resource id of the one address from which the stamp calls out.')
param addressId string

@description('Addresses of the subnet of the services.')
param services string

@description('Of each setting that environments/egress.yaml names and the stamp gives, the hosts in its value.')
param settingHosts object

@description('Whether it is spread over several zones of the region.')
param zoneRedundant bool

var destinations = items(loadYamlContent('../../environments/egress.yaml').destinations)
var signIn = split(az.environment().authentication.loginEndpoint, '/')[2]

var listed = map(filter(destinations, d => !(d.value.?private ?? false)), d => {
  name: d.key
  hosts: union(d.value.?hosts ?? [], flatten(map(d.value.?settings ?? [], setting => settingHosts[?setting] ?? [])))
})

resource policy 'Microsoft.Network/firewallPolicies@2025-09-01' = {
  name: '${name}-outbound'
  location: location
  tags: tags
  properties: {
    sku: { tier: 'Standard' }
    threatIntelMode: 'Deny'
  }

  resource rules 'ruleCollectionGroups' = {
    name: 'egress'
    properties: {
      priority: 100
      ruleCollections: [
        {
          ruleCollectionType: 'FirewallPolicyFilterRuleCollection'
          name: 'names'
          priority: 100
          action: { type: 'Allow' }
          rules: map(filter(listed, one => !empty(one.hosts)), one => {
            ruleType: 'ApplicationRule'
            name: one.name
            sourceAddresses: [services]
            protocols: [{ protocolType: 'Https', port: 443 }]
            targetFqdns: one.hosts
          })
        }
        {
          ruleCollectionType: 'FirewallPolicyFilterRuleCollection'
          name: 'cloud'
          priority: 110
          action: { type: 'Allow' }
          // What the list calls `cloud`: it differs from one cloud of Azure to another.
          rules: [
            {
              ruleType: 'ApplicationRule'
              name: 'sign-in'
              sourceAddresses: [services]
              protocols: [{ protocolType: 'Https', port: 443 }]
              targetFqdns: [signIn, '*.${signIn}']
            }
          ]
        }
        {
          ruleCollectionType: 'FirewallPolicyFilterRuleCollection'
          name: 'time'
          priority: 200
          action: { type: 'Allow' }
          rules: [
            {
              ruleType: 'NetworkRule'
              name: 'clocks'
              sourceAddresses: [services]
              destinationAddresses: ['*']
              ipProtocols: ['UDP']
              destinationPorts: ['123']
            }
          ]
        }
      ]
    }
  }
}

resource firewall 'Microsoft.Network/azureFirewalls@2025-09-01' = {
  name: '${name}-outbound'
  location: location
  tags: tags
  zones: zoneRedundant ? ['1', '2', '3'] : []
  properties: {
    sku: { name: 'AZFW_VNet', tier: 'Standard' }
    firewallPolicy: { id: policy.id }
    ipConfigurations: [
      {
        name: 'outbound'
        properties: {
          subnet: { id: subnetId }
          publicIPAddress: { id: addressId }
        }
      }
    ]
  }
  dependsOn: [policy::rules]
}

resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: firewall
  name: 'logs'
  properties: {
    workspaceId: workspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}
