metadata description = 'Long-running actions: the function app with its identity, storage, task hub, monitoring and alerts.'

targetScope = 'resourceGroup'

@description('Name of the function app, and what the names of all other resources are made from.')
@minLength(3)
@maxLength(40)
param name string

@description('Region of all resources.')
param location string = resourceGroup().location

@description('Hosting plan. Premium takes a package from the container app-package: docs/deployment.md.')
@allowed(['FlexConsumption', 'Premium'])
param plan string = 'FlexConsumption'

@description('Where Durable Functions keeps its task hub: the storage account, or the Durable Task Scheduler.')
@allowed(['storage', 'scheduler'])
param backend string = 'storage'

@description('Python of the app.')
@allowed(['3.11', '3.12', '3.13'])
param pythonVersion string = '3.13'

@description('Name of the task hub, and of the app\'s tables and containers. Another one for every app and slot. It begins with a letter.')
@minLength(3)
@maxLength(30)
param taskHub string = 'lro${uniqueString(resourceGroup().id, name)}'

@description('Most instances at a time.')
@minValue(1)
@maxValue(1000)
param maximumInstances int = plan == 'Premium' ? 20 : 100

@description('Flex Consumption: memory of an instance in MB.')
@allowed([512, 2048, 4096])
param instanceMemory int = 2048

@description('Flex Consumption: HTTP requests that an instance works on at a time. A waiting request (Prefer: wait) counts.')
@minValue(1)
@maxValue(1000)
param httpConcurrency int = 50

@description('Instances for HTTP that are always ready. On Premium: all instances that are, at least 1.')
@minValue(0)
@maxValue(100)
param alwaysReadyHttp int = 0

@description('Flex Consumption: instances for the work itself that are always ready.')
@minValue(0)
@maxValue(100)
param alwaysReadyDurable int = 0

@description('Flex Consumption: how instances are replaced. RollingUpdate, a preview, lets running attempts end; Recreate ends them.')
@allowed(['RollingUpdate', 'Recreate'])
param updateStrategy string = 'RollingUpdate'

@description('Puts app and storage into a virtual network, with private endpoints for storage.')
param virtualNetwork bool = false

@description('Whether storage is reached from outside the virtual network. Callers need it for the sample\'s upload URLs.')
param publicStorage bool = !virtualNetwork

@description('Redundancy of the storage account, which has the records.')
@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GZRS'])
param storageRedundancy string = 'Standard_LRS'

@description('Client id of an app registration in Microsoft Entra ID. Callers then sign in with it and need no key. Empty: keys.')
param authClientId string = ''

@description('What all URLs of the app begin with, where a gateway stands before it. Empty: the app\'s own address.')
param publicBaseUrl string = ''

@description('Web pages, such as https://app.example, whose scripts may call the app and use upload URLs.')
param corsOrigins string[] = []

@description('Who is told of alerts. Empty: alerts are shown in the portal only.')
param alertEmail string = ''

var flex = plan == 'FlexConsumption'
var signIn = !empty(authClientId)

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: '${name}-identity'
  location: location
}

module network 'network.bicep' = if (virtualNetwork) {
  params: {
    name: name
    location: location
    flex: flex
  }
}

module storage 'storage.bicep' = {
  params: {
    name: name
    location: location
    principalId: identity.properties.principalId
    redundancy: storageRedundancy
    taskHub: taskHub
    publicAccess: publicStorage
    privateEndpointSubnetId: network.?outputs.privateEndpointSubnetId ?? ''
    networkId: network.?outputs.networkId ?? ''
    corsOrigins: corsOrigins
  }
}

module scheduler 'scheduler.bicep' = if (backend == 'scheduler') {
  params: {
    name: name
    location: location
    principalId: identity.properties.principalId
    taskHub: taskHub
  }
}

module monitoring 'monitoring.bicep' = {
  params: {
    name: name
    location: location
    principalId: identity.properties.principalId
    alertEmail: alertEmail
  }
}

module settings 'settings.bicep' = {
  params: {
    flex: flex
    taskHub: taskHub
    blobEndpoint: storage.outputs.blobEndpoint
    queueEndpoint: storage.outputs.queueEndpoint
    tableEndpoint: storage.outputs.tableEndpoint
    packageUrl: storage.outputs.packageUrl
    schedulerEndpoint: scheduler.?outputs.endpoint ?? ''
    identityId: identity.id
    identityClientId: identity.properties.clientId
    monitoringConnection: monitoring.outputs.connection
    signIn: signIn
    publicBaseUrl: publicBaseUrl
  }
}

module app 'app.bicep' = {
  params: {
    name: name
    location: location
    flex: flex
    identityId: identity.id
    settings: settings.outputs.all
    packageContainerUrl: storage.outputs.packageContainerUrl
    pythonVersion: pythonVersion
    maximumInstances: maximumInstances
    instanceMemory: instanceMemory
    httpConcurrency: httpConcurrency
    alwaysReadyHttp: alwaysReadyHttp
    alwaysReadyDurable: alwaysReadyDurable
    updateStrategy: updateStrategy
    subnetId: network.?outputs.appSubnetId ?? ''
    authClientId: authClientId
    corsOrigins: corsOrigins
  }
}

output baseUrl string = empty(publicBaseUrl) ? 'https://${app.outputs.hostName}' : publicBaseUrl
output functionAppName string = app.outputs.name
output storageAccountName string = storage.outputs.accountName
output taskHub string = taskHub
output identityClientId string = identity.properties.clientId
