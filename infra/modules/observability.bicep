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

@description('Whether the identities are of another tenant than who deploys: a managed application.')
param crossTenant bool

var metricsPublisher = '3913510d-42f4-4e42-8a64-420c390055eb'

// The names of metrics and attributes are those of src/telemetry; a test compares them.
var alerts = [
  {
    name: 'outcome-unknown'
    description: 'A run ended without anybody knowing whether a tool had its effect. A person has to look.'
    severity: 1
    query: '''
AppMetrics
| where Name == "mandate.runs" and tostring(Properties["mandate.state"]) == "outcome_unknown"
| summarize Count = sum(Sum) by Tenant = tostring(Properties["mandate.tenant"])
'''
    threshold: 0
  }
  {
    name: 'runs-failed'
    description: 'Many runs failed within a quarter of an hour.'
    severity: 2
    query: '''
AppMetrics
| where Name == "mandate.runs" and tostring(Properties["mandate.state"]) == "failed"
| summarize Count = sum(Sum)
'''
    threshold: 10
  }
  {
    name: 'model-calls-failed'
    description: 'Many calls of a model failed within a quarter of an hour, on every target that may serve it.'
    severity: 2
    query: '''
AppMetrics
| where Name == "gen_ai.client.operation.duration" and tostring(Properties["mandate.outcome"]) == "failed"
| summarize Count = sum(ItemCount) by Model = tostring(Properties["gen_ai.request.model"])
'''
    threshold: 20
  }
]

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
      evaluationFrequency: 'PT5M'
      windowSize: 'PT15M'
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
        customProperties: { runbook: 'docs/runbooks.md#${alert.name}' }
      }
    }
  }
]

@description('Resource id of the workspace that takes the logs of every other resource.')
output workspaceId string = workspace.id

@description('Where telemetry is sent. It lets nobody in: local authentication is off.')
output destination string = insights.properties.ConnectionString
