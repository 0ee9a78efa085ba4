metadata description = 'What may not be done in the resource group of a stamp, whoever does it: other regions, keys.'

@description('Regions in which the stamp may have anything.')
param locations array

var definitions = 'Microsoft.Authorization/policyDefinitions'
var rules = [
  {
    name: 'mandate-regions'
    says: 'A stamp keeps and processes data in its own regions only.'
    definition: 'e56962a6-4747-49cd-b67b-bf8b01975c4c'
    parameters: { listOfAllowedLocations: { value: locations } }
  }
  {
    name: 'mandate-store-keys'
    says: 'Cosmos DB lets in identities, and no keys.'
    definition: '5450f5bd-9c72-4390-a9c4-a7aba4edfdd2'
    parameters: { effect: { value: 'Deny' } }
  }
  {
    name: 'mandate-blob-keys'
    says: 'Storage lets in identities, and no keys.'
    definition: '8c6a50c6-9ffd-4ae7-986f-5fa6111f9a54'
    parameters: { effect: { value: 'Deny' } }
  }
  {
    name: 'mandate-model-keys'
    says: 'Models let in identities, and no keys.'
    definition: '71ef260a-8f18-47b7-abcb-62d0673d94dc'
    parameters: { effect: { value: 'Deny' } }
  }
]

resource assigned 'Microsoft.Authorization/policyAssignments@2025-03-01' = [
  for rule in rules: {
    name: rule.name
    properties: {
      displayName: rule.says
      policyDefinitionId: tenantResourceId(definitions, rule.definition)
      enforcementMode: 'Default'
      nonComplianceMessages: [{ message: rule.says }]
      parameters: rule.parameters
    }
  }
]
