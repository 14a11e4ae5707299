metadata description = 'The app settings: docs/configuration.md and docs/backends.md say what each of them is for.'

param flex bool
param taskHub string
param blobEndpoint string
param queueEndpoint string
param tableEndpoint string
@description('Premium: the package that the app runs from.')
param packageUrl string
@description('Empty: the task hub is in the storage account.')
param schedulerEndpoint string
param identityId string
param identityClientId string
param monitoringConnection string
@description('Whether callers sign in, and send no key.')
param signIn bool
param publicBaseUrl string

var common = {
  TASK_HUB_NAME: taskHub
  AzureWebJobsStorage__blobServiceUri: blobEndpoint
  AzureWebJobsStorage__queueServiceUri: queueEndpoint
  AzureWebJobsStorage__tableServiceUri: tableEndpoint
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: identityClientId
  AzureWebJobsDisableHomepage: 'true'
  WEBSITE_WARMUP_PATH: '/health'
  WEBSITE_SWAP_WARMUP_PING_PATH: '/health'
  APPLICATIONINSIGHTS_CONNECTION_STRING: monitoringConnection
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
  OPERATIONS_STORE: 'tables'
  HTTP_AUTH_LEVEL: signIn ? 'anonymous' : 'function'
  TRUST_PLATFORM_AUTH: signIn ? 'true' : 'false'
  PUBLIC_BASE_URL: publicBaseUrl
}

var onStorage = {
  AzureFunctionsJobHost__extensions__durableTask__storageProvider__controlQueueVisibilityTimeout: '00:01:00'
  AzureFunctionsJobHost__extensions__durableTask__storageProvider__workItemQueueVisibilityTimeout: '00:01:00'
}

var onScheduler = {
  AzureFunctionsJobHost__extensions__durableTask__storageProvider__type: 'azureManaged'
  AzureFunctionsJobHost__extensions__durableTask__storageProvider__connectionStringName: 'DURABLE_TASK_SCHEDULER_CONNECTION_STRING'
  DURABLE_TASK_SCHEDULER_CONNECTION_STRING: 'Endpoint=${schedulerEndpoint};Authentication=ManagedIdentity;ClientID=${identityClientId}'
}

// Flex Consumption has these in functionAppConfig, and refuses them here.
var onPremium = {
  FUNCTIONS_EXTENSION_VERSION: '~4'
  FUNCTIONS_WORKER_RUNTIME: 'python'
  WEBSITE_RUN_FROM_PACKAGE: packageUrl
  WEBSITE_RUN_FROM_PACKAGE_BLOB_MI_RESOURCE_ID: identityId
}

output all object = union(common, empty(schedulerEndpoint) ? onStorage : onScheduler, flex ? {} : onPremium)
