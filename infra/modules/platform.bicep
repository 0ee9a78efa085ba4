metadata description = 'The Container Apps environment that the services run in. It has an address inside the network only.'

@description('Name of the environment.')
param name string

@description('Azure region.')
param location string

@description('Tags of every resource.')
param tags object

@description('Resource id of the Log Analytics workspace that takes the logs.')
param workspaceId string

@description('Resource id of the subnet of the services.')
param subnetId string

@description('Whether replicas are spread over several zones of the region.')
param zoneRedundant bool

@description('Day of the week on which the platform may be maintained, for eight hours; Any: whenever Microsoft does it.')
param maintenanceDay string

@description('Hour at which that begins, UTC.')
param maintenanceHour int

resource platform 'Microsoft.App/managedEnvironments@2026-01-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    vnetConfiguration: { internal: true, infrastructureSubnetId: subnetId }
    publicNetworkAccess: 'Disabled'
    zoneRedundant: zoneRedundant
    workloadProfiles: [{ name: 'Consumption', workloadProfileType: 'Consumption' }]
    peerAuthentication: { mtls: { enabled: true } }
    peerTrafficConfiguration: { encryption: { enabled: true } }
    appLogsConfiguration: { destination: 'azure-monitor' }
  }
}

resource maintenance 'Microsoft.App/managedEnvironments/maintenanceConfigurations@2026-01-01' = if (maintenanceDay != 'Any') {
  parent: platform
  name: 'default'
  properties: {
    scheduledEntries: [{ weekDay: maintenanceDay, startHourUtc: maintenanceHour, durationHours: 8 }]
  }
}

resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: platform
  name: 'logs'
  properties: {
    workspaceId: workspaceId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

@description('Resource id of the environment.')
output environmentId string = platform.id

@description('What the host names of its apps end in.')
output domain string = platform.properties.defaultDomain

@description('Its address inside the network.')
output address string = platform.properties.staticIp
