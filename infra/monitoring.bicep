metadata description = 'Application Insights over a workspace, alerts over the lines that the app logs, and a workbook.'

param name string
param location string
@description('Object id of the app\'s identity.')
param principalId string
@description('Empty: nobody is written to.')
param alertEmail string

var monitoringMetricsPublisher = '3913510d-42f4-4e42-8a64-420c390055eb'

resource workspace 'Microsoft.OperationalInsights/workspaces@2023-09-01' = {
  name: '${name}-logs'
  location: location
  properties: {
    sku: { name: 'PerGB2018' }
    retentionInDays: 30
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: '${name}-insights'
  location: location
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: workspace.id
    DisableLocalAuth: true
  }
}

resource access 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: insights
  name: guid(insights.id, principalId, monitoringMetricsPublisher)
  properties: {
    description: 'Monitoring Metrics Publisher'
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', monitoringMetricsPublisher)
  }
}

resource people 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(alertEmail)) {
  name: '${name}-people'
  location: 'global'
  properties: {
    groupShortName: take(name, 12)
    enabled: true
    emailReceivers: [{ name: 'email', emailAddress: alertEmail, useCommonAlertSchema: true }]
  }
}

// Each query answers rows only when somebody has to look; a row is one alert.
var alerts = [
  {
    name: 'failed-operations'
    says: 'More than a fifth of at least ten operations that ended have failed.'
    severity: 2
    query: loadTextContent('alerts/failed-operations.kql')
  }
  {
    name: 'not-begun'
    says: 'An operation has waited five minutes for its first attempt: instances are full, or the task hub did not take it.'
    severity: 1
    query: loadTextContent('alerts/not-begun.kql')
  }
  {
    name: 'restarts'
    says: 'Operations are started again: instances are lost while they work.'
    severity: 2
    query: loadTextContent('alerts/restarts.kql')
  }
  {
    name: 'server-errors'
    says: 'Requests are answered with 500 or more.'
    severity: 1
    query: loadTextContent('alerts/server-errors.kql')
  }
  {
    name: 'refused-by-load'
    says: 'Requests are answered with 429: the instances are full.'
    severity: 2
    query: loadTextContent('alerts/refused-by-load.kql')
  }
  {
    name: 'worker-exits'
    says: 'The Python process has ended by itself. 143 is the platform taking an instance away, and is left out.'
    severity: 1
    query: loadTextContent('alerts/worker-exits.kql')
  }
  {
    name: 'namespace-taken'
    says: 'Two apps or slots share one namespace: this one restarts nothing that is lost.'
    severity: 0
    query: loadTextContent('alerts/namespace-taken.kql')
  }
]

resource rules 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
  for alert in alerts: {
    name: '${name}-${alert.name}'
    location: location
    kind: 'LogAlert'
    properties: {
      displayName: '${name}: ${alert.name}'
      description: alert.says
      severity: alert.severity
      enabled: true
      scopes: [insights.id]
      evaluationFrequency: 'PT5M'
      windowSize: 'PT15M'
      autoMitigate: true
      // The tables come into being with the first line that the app logs.
      skipQueryValidation: true
      criteria: {
        allOf: [
          {
            query: alert.query
            timeAggregation: 'Count'
            operator: 'GreaterThan'
            threshold: 0
            failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
          }
        ]
      }
      actions: { actionGroups: empty(alertEmail) ? [] : [people.id] }
    }
  }
]

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(insights.id, 'operations')
  location: location
  kind: 'shared'
  properties: {
    displayName: '${name}: operations'
    category: 'workbook'
    sourceId: insights.id
    serializedData: string(loadJsonContent('workbook.json'))
  }
}

output connection string = insights.properties.ConnectionString
