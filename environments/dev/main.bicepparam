// Development: the smallest stamp that has everything. Values only; what is made of them is in infra/.
// What differs from one release or publisher to the next comes from the variables that docs/deploy.md explains.
using '../../infra/main.bicep'

param environmentName = 'dev'

param stamps = [
  {
    name: 'mandate-dev-weu'
    location: 'westeurope'
    failoverLocation: 'swedencentral'
    geography: 'westeurope'
    addressSpace: '10.64.0.0/22'
    publicAddress: readEnvironmentVariable('MANDATE_INFRA_PUBLIC_ADDRESS', '')
    egress: 'nat'
    monthlyBudget: 1500
  }
]

param released = {
  image: readEnvironmentVariable('MANDATE_INFRA_IMAGE', loadYamlContent('release.yaml').image)
  revision: readEnvironmentVariable('MANDATE_INFRA_REVISION', 'first')
  stable: readEnvironmentVariable('MANDATE_INFRA_STABLE', '')
  weight: int(readEnvironmentVariable('MANDATE_INFRA_WEIGHT', '0'))
}

param imageRegistry = {
  id: readEnvironmentVariable('MANDATE_INFRA_REGISTRY_ID', '')
  pullIdentityId: readEnvironmentVariable('MANDATE_INFRA_PULL_IDENTITY_ID', '')
}

param around = {
  consoleClientId: readEnvironmentVariable('MANDATE_INFRA_CONSOLE_CLIENT_ID', '00000000-0000-0000-0000-000000000000')
  sourcesClientId: readEnvironmentVariable('MANDATE_INFRA_SOURCES_CLIENT_ID', '')
  marketplaceClientId: readEnvironmentVariable('MANDATE_INFRA_MARKETPLACE_CLIENT_ID', '')
  marketplaceTenant: readEnvironmentVariable('MANDATE_INFRA_MARKETPLACE_TENANT', '')
  sellsApplications: bool(readEnvironmentVariable('MANDATE_INFRA_SELLS_APPLICATIONS', 'false'))
  backOffice: readEnvironmentVariable('MANDATE_INFRA_BACK_OFFICE', 'https://backoffice.example')
  pages: readEnvironmentVariable('MANDATE_INFRA_PAGES', '')
}

param sized = {
  zoneRedundant: false
  fewestReplicas: 1
  mostReplicas: 2
  throughput: 1000
  modelCapacity: 30
  provisionedUnits: {}
  evidenceDays: 1
  evidencePolicy: 'Unlocked'
  logDays: 30
  logGigabytes: 2
}

param alertEmail = readEnvironmentVariable('MANDATE_INFRA_ALERT_EMAIL', 'operators@mandate.example')

param budgetSince = '2026-12-01'

param runbooks = readEnvironmentVariable('MANDATE_INFRA_RUNBOOKS', 'docs/runbooks.md')
