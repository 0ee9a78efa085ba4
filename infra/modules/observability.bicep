metadata description = 'Where logs and telemetry go, who may send it, and when somebody is told.'

@description('Name of the stamp: other names begin with it.')
param name string

@description('Azure region.')
param location string

@description('Tags of every resource.')
param tags object

@description('For how many days logs are kept.')
@minValue(30)
@maxValue(730)
param retentionDays int

@description('At most so many gigabytes of logs are taken a day; -1 for no bound.')
param dailyGigabytes int

@description('Names of the identities that send telemetry.')
param senders array

@description('Who is told, by mail; nobody if it is empty.')
param alertEmail string

@description('Address of docs/runbooks.md, as those who are told can read it.')
param runbooks string

@description('Whether the identities are of another tenant than who deploys: a managed application.')
param crossTenant bool

var metricsPublisher = '3913510d-42f4-4e42-8a64-420c390055eb'

var alerts = loadYamlContent('../alerts.yaml').alerts

resource workspace 'Microsoft.OperationalInsights/workspaces@2026-03-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    sku: { name: 'PerGB2018' }
    retentionInDays: retentionDays
    workspaceCapping: { dailyQuotaGb: dailyGigabytes }
    features: { disableLocalAuth: true }
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: name
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: workspace.id
    DisableLocalAuth: true
    DisableIpMasking: false
  }
}

resource workspaceLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: workspace
  name: 'logs'
  properties: {
    workspaceId: workspace.id
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

resource identities 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = [
  for sender in senders: { name: '${name}-${sender}' }
]

resource mayWrite 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (sender, i) in senders: {
    scope: insights
    name: guid(insights.id, identities[i].id, metricsPublisher)
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', metricsPublisher)
      principalId: identities[i].properties.principalId
      principalType: 'ServicePrincipal'
      delegatedManagedIdentityResourceId: crossTenant ? identities[i].id : null
    }
  }
]

resource told 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(alertEmail)) {
  name: name
  location: 'global'
  tags: tags
  properties: {
    enabled: true
    groupShortName: 'mandate'
    emailReceivers: [{ name: 'operators', emailAddress: alertEmail, useCommonAlertSchema: true }]
  }
}

resource rules 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = [
  for alert in alerts: if (!empty(alertEmail)) {
    name: '${name}-${alert.name}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: alert.name
      description: alert.description
      severity: alert.severity
      enabled: true
      scopes: [workspace.id]
      evaluationFrequency: alert.every
      windowSize: alert.window
      // What a query names may not have been sent yet in a new stamp.
      skipQueryValidation: true
      criteria: {
        allOf: [
          {
            query: alert.query
            timeAggregation: 'Total'
            metricMeasureColumn: 'Count'
            operator: 'GreaterThan'
            threshold: alert.threshold
            failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
          }
        ]
      }
      autoMitigate: true
      actions: {
        actionGroups: [told.id]
        customProperties: { runbook: '${runbooks}#${alert.name}' }
      }
    }
  }
]

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(workspace.id, 'operations')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: '${name}: turns, decisions, approvals, cost'
    category: 'workbook'
    sourceId: workspace.id
    serializedData: loadTextContent('../workbook.json')
  }
}

@description('Resource id of the workspace that takes the logs of every other resource.')
output workspaceId string = workspace.id

@description('Where telemetry is sent. It lets nobody in: local authentication is off.')
output destination string = insights.properties.ConnectionString
