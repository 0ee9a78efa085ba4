metadata description = 'What the publisher deploys into a subscription: the stamps of one environment, each in its resource group, with a budget.'

targetScope = 'subscription'

@description('One stamp.')
type stamp = {
  @description('Such as mandate-prod-weu: lower case, digits and dashes. Also the name of its resource group.')
  @minLength(3)
  @maxLength(20)
  name: string

  @description('Azure region.')
  location: string

  @description('Azure region of the second account of models, in the same geography.')
  failoverLocation: string

  @description('Region of tenants, as their records say it, that may be served here.')
  geography: string

  @description('Addresses of the network, /22 or larger.')
  addressSpace: string

  @description('Address under which people reach it; empty: the address that the edge has by itself.')
  publicAddress: string

  @description('The way out: a NAT gateway, or Azure Firewall, which holds the network to the list of hosts.')
  egress: 'nat' | 'firewall'

  @description('So much a month, in the currency of the subscription.')
  @minValue(1)
  monthlyBudget: int
}

@description('A release: the image, and how much of the traffic it gets.')
type release = {
  @description('The image, by its digest.')
  image: string

  @description('Name of the revision that the image becomes.')
  revision: string

  @description('Name of the revision that keeps the rest of the traffic; empty: the new one gets all.')
  stable: string

  @description('How much of the traffic the new revision gets, in per cent.')
  @minValue(0)
  @maxValue(100)
  weight: int
}

@description('What infra/registry.bicep put out, or nothing where the image is public.')
type registry = {
  @description('Resource id of the registry.')
  id: string

  @description('Resource id of the identity that may pull from it.')
  pullIdentityId: string
}

@description('The publisher\'s app registrations and the service behind the tools.')
type surroundings = {
  @description('Client id of the app registration of the console.')
  consoleClientId: string

  @description('Client id of the app registration for sources that customers keep; empty: none are read.')
  sourcesClientId: string

  @description('Client id of the app registration that the offer in the marketplace names; empty: it is not sold there.')
  marketplaceClientId: string

  @description('The publisher\'s own Entra tenant, which the offer names.')
  marketplaceTenant: string

  @description('Whether managed applications are sold too.')
  sellsApplications: bool

  @description('Address of the service that the tools of the back office call, with https.')
  backOffice: string

  @description('Addresses under which agents may read public pages, with commas between; empty: none.')
  pages: string
}

@description('How much of everything.')
type size = {
  @description('Whether everything that can be is spread over several zones.')
  zoneRedundant: bool

  @description('Fewest replicas of each service.')
  @minValue(1)
  fewestReplicas: int

  @description('Most replicas of each service.')
  @minValue(1)
  mostReplicas: int

  @description('Most request units a second of each container of the store.')
  @minValue(1000)
  throughput: int

  @description('Of each deployment of a model, in thousands of tokens a minute.')
  @minValue(1)
  modelCapacity: int

  @description('Units of provisioned throughput of models in the first account, by name; the others are paid by use.')
  provisionedUnits: object

  @description('For how many days the anchors of evidence can be neither changed nor deleted.')
  @minValue(1)
  evidenceDays: int

  @description('Unlocked: those days may still be shortened. Locked: never again.')
  evidencePolicy: 'Unlocked' | 'Locked'

  @description('For how many days logs are kept.')
  @minValue(30)
  logDays: int

  @description('At most so many gigabytes of logs are taken a day.')
  @minValue(1)
  logGigabytes: int
}

@description('Which environment this is.')
param environmentName 'dev' | 'staging' | 'prod'

@description('The stamps of the environment.')
@minLength(1)
param stamps stamp[]

@description('What is released.')
param released release

@description('Where the image comes from.')
param imageRegistry registry

@description('What is around it.')
param around surroundings

@description('How much of everything each stamp has.')
param sized size

@description('Who is told when something is wrong or costs more than was meant, by mail.')
@minLength(3)
param alertEmail string

@description('Address of docs/runbooks.md, as those who are told can read it.')
param runbooks string = 'docs/runbooks.md'

@description('The first day of the month from which budgets count, such as 2026-12-01. It cannot be changed later.')
param budgetSince string

resource groups 'Microsoft.Resources/resourceGroups@2025-04-01' = [
  for stamp in stamps: {
    name: stamp.name
    location: stamp.location
    tags: { product: 'mandate', environment: environmentName, stamp: stamp.name }
  }
]

module stampOf 'stamp.bicep' = [
  for (stamp, i) in stamps: {
    scope: groups[i]
    name: 'stamp-${stamp.name}'
    params: {
      environmentName: environmentName
      name: stamp.name
      location: stamp.location
      failoverLocation: stamp.failoverLocation
      geography: stamp.geography
      addressSpace: stamp.addressSpace
      image: released.image
      revision: released.revision
      stableRevision: released.stable
      weight: released.weight
      registryId: imageRegistry.id
      pullIdentityId: imageRegistry.pullIdentityId
      consoleClientId: around.consoleClientId
      sourcesClientId: around.sourcesClientId
      marketplaceClientId: around.marketplaceClientId
      marketplaceTenant: around.marketplaceTenant
      sellsApplications: around.sellsApplications
      backOffice: around.backOffice
      pages: around.pages
      publicAddress: stamp.publicAddress
      egress: stamp.egress
      edge: 'frontdoor'
      zoneRedundant: sized.zoneRedundant
      fewestReplicas: sized.fewestReplicas
      mostReplicas: sized.mostReplicas
      throughput: sized.throughput
      modelCapacity: sized.modelCapacity
      provisionedUnits: sized.provisionedUnits
      evidenceDays: sized.evidenceDays
      evidencePolicy: sized.evidencePolicy
      logDays: sized.logDays
      logGigabytes: sized.logGigabytes
      alertEmail: alertEmail
      runbooks: runbooks
    }
  }
]

module policies 'modules/policy.bicep' = [
  for (stamp, i) in stamps: {
    scope: groups[i]
    name: 'policy-${stamp.name}'
    params: { locations: [stamp.location, stamp.failoverLocation] }
  }
]

module budgets 'modules/budget.bicep' = [
  for (stamp, i) in stamps: {
    scope: groups[i]
    name: 'budget-${stamp.name}'
    params: { name: stamp.name, amount: stamp.monthlyBudget, since: budgetSince, email: alertEmail }
  }
]

@description('Of each stamp, where people reach it, and from which address it calls out.')
output addresses array = [
  for (stamp, i) in stamps: {
    name: stamp.name
    reached: stampOf[i].outputs.address
    outbound: stampOf[i].outputs.outboundAddress
  }
]
