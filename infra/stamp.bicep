metadata description = 'One stamp: everything that Mandate needs in Azure, in one resource group.'

// Template language 1.0, here and in modules/: a managed application takes no other. So modules have names, and types are plain.

@description('Which environment this is: its model catalogue and policies are used, which the image brings along.')
@allowed(['dev', 'staging', 'prod'])
param environmentName string

@description('Name of the stamp, such as mandate-prod-weu: lower case, digits and dashes.')
@minLength(3)
@maxLength(20)
param name string = 'mandate'

@description('Azure region.')
param location string = resourceGroup().location

@description('Azure region of the second account of models, in the same geography.')
param failoverLocation string

@description('Region of tenants, as their records say it, that may be served here. Their data is processed nowhere else.')
param geography string

@description('The image, by its digest.')
param image string

@description('Resource id of the registry in Azure that has the image; empty where the image is public.')
param registryId string = ''

@description('Resource id of the identity that may pull from that registry; empty where the image is public.')
param pullIdentityId string = ''

@description('Name of the revision that this image becomes; empty for one that Azure makes up.')
param revision string = ''

@description('Name of the revision that keeps the traffic which the new one does not get yet; empty: the new one gets all.')
param stableRevision string = ''

@description('How much of the traffic the new revision gets, in per cent, if there is a stable one.')
@minValue(0)
@maxValue(100)
param weight int = 0

@description('Client id of the app registration of the console.')
param consoleClientId string

@description('Client id of the app registration for sources that customers keep themselves; empty: none are read.')
param sourcesClientId string = ''

@description('Client id of the app registration that the offer in the marketplace names; empty: it is not sold there.')
param marketplaceClientId string = ''

@description('The publisher\'s own Entra tenant, which the offer names.')
param marketplaceTenant string = ''

@description('Whether managed applications are sold too: the vault then holds the secret applications, which their notifications carry.')
param sellsApplications bool = false

@description('The publisher\'s public address, which a customer\'s stamp tells its version; empty: it tells nobody.')
param publisherAddress string = ''

@description('The publisher\'s API that such a stamp asks a token for.')
param publisherAudience string = ''

@description('Whether the publisher\'s control plane, at that address, says what may be done in this stamp (hybrid).')
param publisherControls bool = false

@description('Whether only people of the subscription\'s own Entra tenant may sign in, and no other organisation is taken on.')
param oneOrganisation bool = false

@description('What the first organisation is called, which the job `operator` takes on unless told otherwise; empty: it lists all.')
param organisationName string = ''

@description('Its plan, of environments/plans.yaml.')
@allowed(['team', 'business'])
param plan string = 'team'

@description('Address of the service that the tools of the back office call, with https.')
param backOffice string

@description('Addresses under which agents may read public pages, each with a slash at its end, with commas between.')
param pages string = ''

@description('Address under which people reach the product, with https; empty: the address that the edge has by itself.')
param publicAddress string = ''

@description('Front Door for people anywhere, or inside the network only.')
@allowed(['frontdoor', 'inside'])
param edge string = 'inside'

@description('The way out: a NAT gateway, where the application alone holds to the list of hosts, or Azure Firewall.')
@allowed(['nat', 'firewall'])
param egress string = 'nat'

@description('Resource id of a subnet that exists, /27 or larger, delegated to Microsoft.App/environments; empty: a network is made.')
param servicesSubnetId string = ''

@description('Resource id of a subnet that exists, of the same network, for private endpoints.')
param endpointsSubnetId string = ''

@description('Private DNS zones: the stamp\'s own, those of another resource group, or none, where a policy of the network sees to names.')
@allowed(['own', 'existing', 'none'])
param privateDns string = 'own'

@description('Resource id of the resource group that has the private DNS zones, if they exist.')
param dnsGroupId string = ''

@description('Addresses of the network, /22 or larger.')
param addressSpace string = '10.64.0.0/22'

@description('Whether everything that can be is spread over several zones of the region.')
param zoneRedundant bool = false

@description('Fewest replicas of each service.')
@minValue(1)
param fewestReplicas int = 1

@description('Most replicas of each service.')
@minValue(1)
param mostReplicas int = 4

@description('Most request units a second of each container of the store.')
@minValue(1000)
param throughput int = 1000

@description('Of each deployment of a model, in thousands of tokens a minute.')
@minValue(1)
param modelCapacity int = 50

@description('Whether models process within the region, or within the data zone.')
@allowed(['Standard', 'DataZoneStandard'])
param modelProcessing string = 'DataZoneStandard'

@description('Units of provisioned throughput of models in the first account, by the model\'s name; the others are paid by use.')
param provisionedUnits object = {}

@description('For how many days the anchors of evidence can be neither changed nor deleted.')
@minValue(1)
param evidenceDays int = 30

@description('Unlocked: those days may still be shortened. Locked: never again. An account begins unlocked.')
@allowed(['Unlocked', 'Locked'])
param evidencePolicy string = 'Unlocked'

@description('Day of the week on which the platform may be maintained, for eight hours; Any: whenever Microsoft does it.')
@allowed(['Any', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'])
param maintenanceDay string = 'Any'

@description('Hour at which that begins, UTC.')
@minValue(0)
@maxValue(23)
param maintenanceHour int = 1

@description('For how many days logs are kept.')
@minValue(30)
param logDays int = 30

@description('At most so many gigabytes of logs are taken a day; -1 for no bound.')
param logGigabytes int = 5

@description('Whether the services send telemetry to Application Insights of this stamp.')
param telemetry bool = true

@description('Who is told when something is wrong, by mail; nobody if it is empty.')
param alertEmail string = ''

@description('Address of docs/runbooks.md, as those who are told can read it.')
param runbooks string = 'docs/runbooks.md'

@description('How many requests an address may make in a minute at Front Door.')
@minValue(10)
param requestsPerMinute int = 600

@description('Whether the identities are of another tenant than who deploys: a managed application of a publisher.')
param crossTenant bool = false

@description('More tags.')
param extraTags object = {}

var declared = loadYamlContent('../environments/services.yaml')
var containers = loadYamlContent('../environments/containers.yaml').containers
var catalogues = {
  dev: loadYamlContent('../environments/dev/models.yaml').models
  staging: loadYamlContent('../environments/staging/models.yaml').models
  prod: loadYamlContent('../environments/prod/models.yaml').models
}

var marketplace = 'https://marketplaceapi.microsoft.com/api'

var tags = union({ product: 'mandate', environment: environmentName, stamp: name }, extraTags)

// Which identities have a role, by its name in services.yaml.
var services = items(declared.services)
var jobs = items(declared.jobs)
var roleNames = [
  'store.readwrite'
  'models.user'
  'guards.user'
  'evidence.sign'
  'evidence.anchor'
  'erasures.note'
  'telemetry.send'
  'configuration.read'
  'configuration.write'
  'secrets.read'
]
var holders = toObject(
  roleNames,
  role => role,
  role => map(filter(concat(services, jobs), s => contains(s.value.roles, role)), s => s.value.identity)
)
var identityNames = map(concat(services, jobs), s => s.value.identity)

// What the catalogue deploys where, each deployment once, in the catalogue's order.
var accounts = [
  { role: 'primary', setting: 'MODEL_ENDPOINT_PRIMARY', location: location }
  { role: 'failover', setting: 'MODEL_ENDPOINT_FAILOVER', location: failoverLocation }
]
var targets = flatten(map(items(catalogues[environmentName]), m => m.value.targets))
var deployments = toObject(
  accounts,
  a => a.role,
  a => map(filter(targets, t => t.endpoint == '\${${a.setting}}'), t => { model: t.model, version: t.version })
)

var zones = {
  store: 'privatelink.documents.azure.com'
  blobs: 'privatelink.blob.${az.environment().suffixes.storage}'
  vault: 'privatelink.vaultcore.azure.net'
  configuration: 'privatelink.azconfig.io'
  cognitive: 'privatelink.cognitiveservices.azure.com'
  openai: 'privatelink.openai.azure.com'
  foundry: 'privatelink.services.ai.azure.com'
  registry: 'privatelink${az.environment().suffixes.acrLoginServer}'
}

module identities 'modules/identities.bicep' = {
  name: 'identities'
  params: { name: name, location: location, tags: tags, identityNames: identityNames }
}

module observability 'modules/observability.bicep' = {
  name: 'observability'
  params: {
    name: name
    location: location
    tags: tags
    retentionDays: logDays
    dailyGigabytes: logGigabytes
    senders: telemetry ? holders['telemetry.send'] : []
    alertEmail: alertEmail
    runbooks: runbooks
    crossTenant: crossTenant
  }
  dependsOn: [identities]
}

var ownNetwork = empty(servicesSubnetId)
var outsideHosts = {
  MANDATE_BACKOFFICE_URL: [split(split(backOffice, '/')[2], ':')[0]]
  MANDATE_PAGES: map(filter(split(pages, ','), page => !empty(page)), page => split(split(page, '/')[2], ':')[0])
  MANDATE_MARKETPLACE_URL: empty(marketplaceClientId) ? [] : [split(marketplace, '/')[2]]
  MANDATE_ARM_URL: sellsApplications ? [split(az.environment().resourceManager, '/')[2]] : []
  MANDATE_HEARTBEAT_URL: empty(publisherAddress) ? [] : [split(split(publisherAddress, '/')[2], ':')[0]]
}

module network 'modules/network.bicep' = if (ownNetwork) {
  name: 'network'
  params: {
    name: name
    location: location
    tags: tags
    addressSpace: addressSpace
    workspaceId: observability.outputs.workspaceId
    egress: egress
    settingHosts: outsideHosts
    zoneRedundant: zoneRedundant
  }
}

var servicesSubnet = ownNetwork ? network!.outputs.servicesSubnetId : servicesSubnetId
var endpointsSubnet = ownNetwork ? network!.outputs.endpointsSubnetId : endpointsSubnetId
var networkId = ownNetwork ? network!.outputs.networkId : join(take(split(servicesSubnetId, '/'), 9), '/')

module names 'modules/names.bicep' = if (privateDns == 'own') {
  name: 'names'
  params: {
    name: name
    tags: tags
    networkId: networkId
    zoneNames: concat(
      [zones.store, zones.blobs, zones.vault, zones.configuration, zones.cognitive, zones.openai, zones.foundry],
      empty(registryId) ? [] : [zones.registry]
    )
  }
}

var zoneIds = toObject(
  items(zones),
  zone => zone.key,
  zone =>
    privateDns == 'own'
      ? resourceId('Microsoft.Network/privateDnsZones', zone.value)
      : '${dnsGroupId}/providers/Microsoft.Network/privateDnsZones/${zone.value}'
)

module store 'modules/store.bicep' = {
  name: 'store'
  params: {
    name: name
    location: location
    tags: tags
    workspaceId: observability.outputs.workspaceId
    containers: containers
    throughput: throughput
    zoneRedundant: zoneRedundant
    users: holders['store.readwrite']
  }
  dependsOn: [identities]
}

module content 'modules/content.bicep' = {
  name: 'content'
  params: {
    name: name
    location: location
    tags: tags
    workspaceId: observability.outputs.workspaceId
    zoneRedundant: zoneRedundant
    users: holders['store.readwrite']
    crossTenant: crossTenant
  }
  dependsOn: [identities]
}

module evidence 'modules/evidence.bicep' = {
  name: 'evidence'
  params: {
    name: name
    location: location
    tags: tags
    workspaceId: observability.outputs.workspaceId
    zoneRedundant: zoneRedundant
    days: evidenceDays
    policy: evidencePolicy
    signers: holders['evidence.sign']
    writers: holders['evidence.anchor']
    noters: holders['erasures.note']
    vaultReaders: sellsApplications ? holders['secrets.read'] : []
    crossTenant: crossTenant
  }
  dependsOn: [identities]
}

module configuration 'modules/configuration.bicep' = {
  name: 'configuration'
  params: {
    name: name
    location: location
    tags: tags
    workspaceId: observability.outputs.workspaceId
    readers: holders['configuration.read']
    writers: holders['configuration.write']
    crossTenant: crossTenant
  }
  dependsOn: [identities]
}

module models 'modules/models.bicep' = [
  for account in accounts: {
    name: 'models-${account.role}'
    params: {
      name: name
      role: account.role
      location: account.location
      tags: tags
      workspaceId: observability.outputs.workspaceId
      targets: deployments[account.role]
      processing: modelProcessing
      capacity: modelCapacity
      provisioned: account.role == 'primary' ? provisionedUnits : {}
      users: holders['models.user']
      guardUsers: account.role == 'primary' ? holders['guards.user'] : []
      crossTenant: crossTenant
    }
    dependsOn: [identities]
  }
]

var endpoints = [
  { name: 'store', groupId: 'Sql', zones: ['store'] }
  { name: 'content', groupId: 'blob', zones: ['blobs'] }
  { name: 'anchors', groupId: 'blob', zones: ['blobs'] }
  { name: 'vault', groupId: 'vault', zones: ['vault'] }
  { name: 'configuration', groupId: 'configurationStores', zones: ['configuration'] }
  { name: 'models-primary', groupId: 'account', zones: ['cognitive', 'openai', 'foundry'] }
  { name: 'models-failover', groupId: 'account', zones: ['cognitive', 'openai', 'foundry'] }
]
var endpointTargets = [
  store.outputs.accountId
  content.outputs.accountId
  evidence.outputs.accountId
  evidence.outputs.vaultId
  configuration.outputs.storeId
  models[0].outputs.accountId
  models[1].outputs.accountId
]

module registryEndpoint 'modules/endpoint.bicep' = if (!empty(registryId)) {
  name: 'endpoint-registry'
  params: {
    name: '${name}-registry'
    location: location
    tags: tags
    subnetId: endpointsSubnet
    targetId: registryId
    groupId: 'registry'
    zoneIds: privateDns == 'none' ? [] : [zoneIds.registry]
  }
  dependsOn: [names]
}

module privateEndpoints 'modules/endpoint.bicep' = [
  for (endpoint, i) in endpoints: {
    name: 'endpoint-${endpoint.name}'
    params: {
      name: '${name}-${endpoint.name}'
      location: location
      tags: tags
      subnetId: endpointsSubnet
      targetId: endpointTargets[i]
      groupId: endpoint.groupId
      zoneIds: privateDns == 'none' ? [] : map(endpoint.zones, zone => zoneIds[zone])
    }
    dependsOn: [names]
  }
]

module platform 'modules/platform.bicep' = {
  name: 'platform'
  params: {
    name: name
    location: location
    tags: tags
    workspaceId: observability.outputs.workspaceId
    subnetId: servicesSubnet
    zoneRedundant: zoneRedundant
    maintenanceDay: maintenanceDay
    maintenanceHour: maintenanceHour
  }
}

module frontDoor 'modules/frontdoor.bicep' = if (edge == 'frontdoor') {
  name: 'frontdoor'
  params: {
    name: name
    location: location
    tags: tags
    workspaceId: observability.outputs.workspaceId
    environmentId: platform.outputs.environmentId
    originHost: 'interaction.${platform.outputs.domain}'
    requestsPerMinute: requestsPerMinute
  }
}

module inside 'modules/inside.bicep' = if (edge == 'inside' && privateDns != 'none') {
  name: 'inside'
  params: {
    tags: tags
    domain: platform.outputs.domain
    address: platform.outputs.address
    networkId: networkId
  }
}

var edgeAddress = edge == 'frontdoor'
  ? 'https://${frontDoor!.outputs.host}'
  : 'https://interaction.${platform.outputs.domain}'
var reachedAt = empty(publicAddress) ? edgeAddress : publicAddress
var signIn = az.environment().authentication.loginEndpoint
var organisation = oneOrganisation ? subscription().tenantId : ''

// The settings that nobody has to give; the others are always there.
var chosen = concat(
  empty(sourcesClientId) ? [] : ['MANDATE_SOURCES_CLIENT_ID'],
  empty(pages) ? [] : ['MANDATE_PAGES'],
  empty(marketplaceClientId)
    ? []
    : ['MANDATE_MARKETPLACE_URL', 'MANDATE_MARKETPLACE_CLIENT_ID', 'MANDATE_MARKETPLACE_TENANT'],
  sellsApplications ? ['MANDATE_ARM_URL'] : [],
  empty(publisherAddress) ? [] : ['MANDATE_HEARTBEAT_URL', 'MANDATE_HEARTBEAT_AUDIENCE'],
  publisherControls ? ['MANDATE_PUBLISHER_CONTROLS'] : [],
  telemetry ? ['APPLICATIONINSIGHTS_CONNECTION_STRING'] : []
)
var settled = concat(
  [
    'AZURE_TOKEN_CREDENTIALS'
    'MANDATE_ENVIRONMENT'
    'MANDATE_CONFIGURATION'
    'MANDATE_STORE'
    'MANDATE_BLOBS'
    'MANDATE_ERASURE_JOURNAL'
    'MANDATE_IDENTITY_ISSUER'
    'MANDATE_IDENTITY_JWKS'
    'MANDATE_PUBLIC_URL'
    'MANDATE_CONSOLE_CLIENT_ID'
    'MANDATE_ORCHESTRATION_URL'
    'MANDATE_ORCHESTRATION_CANDIDATE_URL'
    'MANDATE_CONTROL_URL'
    'MANDATE_EVIDENCE_KEY'
    'MANDATE_EVIDENCE_ANCHOR'
    'MANDATE_BACKOFFICE_URL'
    'MANDATE_CONTENT_SAFETY_ENDPOINT'
    'MODEL_ENDPOINT_PRIMARY'
    'MODEL_ENDPOINT_FAILOVER'
    'MODEL_GEOGRAPHY'
  ],
  map(identityNames, identity => 'MANDATE_CLIENT_ID_${toUpper(identity)}')
)

module apps 'modules/service.bicep' = [
  for service in services: {
    name: 'service-${service.key}'
    params: {
      name: name
      service: service.key
      location: location
      tags: tags
      workspaceId: observability.outputs.workspaceId
      environmentId: platform.outputs.environmentId
      declared: service.value
      settingNames: filter(
        map(service.value.settings, setting => replace(setting, '*', '')),
        setting => contains(concat(settled, chosen), setting)
      )
      settings: {
        AZURE_TOKEN_CREDENTIALS: 'ManagedIdentityCredential'
        APPLICATIONINSIGHTS_CONNECTION_STRING: observability.outputs.destination
        MANDATE_ENVIRONMENT: environmentName
        MANDATE_CONFIGURATION: configuration.outputs.address
        MANDATE_STORE: store.outputs.address
        MANDATE_BLOBS: content.outputs.address
        MANDATE_ERASURE_JOURNAL: evidence.outputs.journal
        MANDATE_IDENTITY_ISSUER: '${signIn}${oneOrganisation ? organisation : '{tid}'}/v2.0'
        MANDATE_IDENTITY_JWKS: '${signIn}${oneOrganisation ? organisation : 'common'}/discovery/v2.0/keys'
        MANDATE_PUBLIC_URL: reachedAt
        MANDATE_CONSOLE_CLIENT_ID: consoleClientId
        MANDATE_SOURCES_CLIENT_ID: sourcesClientId
        MANDATE_ORCHESTRATION_URL: 'https://orchestration.internal.${platform.outputs.domain}'
        // Always: the stable revision, deployed before there is a candidate, must know where one would be.
        MANDATE_ORCHESTRATION_CANDIDATE_URL: 'https://orchestration---candidate.internal.${platform.outputs.domain}'
        MANDATE_CONTROL_URL: 'https://control.internal.${platform.outputs.domain}'
        MANDATE_EVIDENCE_KEY: evidence.outputs.signer
        MANDATE_EVIDENCE_ANCHOR: evidence.outputs.anchor
        MANDATE_BACKOFFICE_URL: backOffice
        MANDATE_PAGES: pages
        MANDATE_MARKETPLACE_URL: marketplace
        MANDATE_MARKETPLACE_CLIENT_ID: marketplaceClientId
        MANDATE_MARKETPLACE_TENANT: marketplaceTenant
        MANDATE_ARM_URL: az.environment().resourceManager
        MANDATE_HEARTBEAT_URL: publisherAddress
        MANDATE_HEARTBEAT_AUDIENCE: publisherAudience
        MANDATE_PUBLISHER_CONTROLS: 'true'
        MANDATE_CONTENT_SAFETY_ENDPOINT: models[0].outputs.safetyAddress
        MODEL_ENDPOINT_PRIMARY: models[0].outputs.address
        MODEL_ENDPOINT_FAILOVER: models[1].outputs.address
        MODEL_GEOGRAPHY: geography
        MANDATE_CLIENT_ID_CONTROL: identities.outputs.clientIds[indexOf(identityNames, 'control')]
        MANDATE_CLIENT_ID_INTERACTION: identities.outputs.clientIds[indexOf(identityNames, 'interaction')]
        MANDATE_CLIENT_ID_ORCHESTRATION: identities.outputs.clientIds[indexOf(identityNames, 'orchestration')]
        MANDATE_CLIENT_ID_OPERATOR: identities.outputs.clientIds[indexOf(identityNames, 'operator')]
      }
      vaultSettings: sellsApplications && contains(service.value.settings, 'MANDATE_APPLICATIONS_SECRET')
        ? { MANDATE_APPLICATIONS_SECRET: '${evidence.outputs.vaultSecrets}applications' }
        : {}
      image: image
      pullIdentityId: pullIdentityId
      replicas: { fewest: fewestReplicas, most: mostReplicas }
      revision: revision
      stableRevision: stableRevision
      weight: weight
    }
    dependsOn: [privateEndpoints, registryEndpoint]
  }
]

var takesOn = [
  'mandate'
  'tenants'
  'add'
  '--name=${organisationName}'
  '--entra-tenant=${subscription().tenantId}'
  '--plan=${plan}'
  '--region=${geography}'
  '--stamp=${name}'
]

module runs 'modules/job.bicep' = [
  for job in jobs: {
    name: 'job-${job.key}'
    params: {
      name: name
      job: job.key
      location: location
      tags: tags
      environmentId: platform.outputs.environmentId
      declared: union(job.value, job.key == 'operator' && !empty(organisationName) ? { command: takesOn } : {})
      settingNames: map(job.value.settings, setting => replace(setting, '*', ''))
      settings: {
        AZURE_TOKEN_CREDENTIALS: 'ManagedIdentityCredential'
        MANDATE_ENVIRONMENT: environmentName
        MANDATE_CONFIGURATION: configuration.outputs.address
        MANDATE_CONTROL_URL: 'https://control.internal.${platform.outputs.domain}'
        MANDATE_CLIENT_ID_CONFIGURATION: identities.outputs.clientIds[indexOf(identityNames, 'configuration')]
        MANDATE_CLIENT_ID_OPERATOR: identities.outputs.clientIds[indexOf(identityNames, 'operator')]
      }
      image: image
      pullIdentityId: pullIdentityId
    }
    dependsOn: [privateEndpoints, registryEndpoint]
  }
]

@description('Where people reach the product.')
output address string = reachedAt

@description('The tenant in which a stamp that tells the publisher its version has the identity that tells it.')
output heartbeatTenant string = empty(publisherAddress) ? '' : subscription().tenantId

@description('That identity\'s object id.')
output heartbeatPrincipal string = empty(publisherAddress)
  ? ''
  : identities.outputs.principalIds[indexOf(identityNames, 'control')]

@description('The one address from which the stamp calls out; empty where it joins a network that exists.')
output outboundAddress string = ownNetwork ? network!.outputs.outboundAddress : ''
