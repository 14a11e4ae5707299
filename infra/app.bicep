metadata description = 'The function app, on Flex Consumption or Premium.'

param name string
param location string
param flex bool
param identityId string
param settings object
param packageContainerUrl string
param pythonVersion string
param maximumInstances int
param instanceMemory int
param httpConcurrency int
param alwaysReadyHttp int
param alwaysReadyDurable int
param updateStrategy string
@description('Empty: no virtual network.')
param subnetId string
@description('Empty: callers send keys.')
param authClientId string
param corsOrigins string[]

var inNetwork = !empty(subnetId)
// Health, and the page for people with its files: they hold nothing, and the page asks with a token for all that it shows.
var openPaths = [
  '/health'
  '/operations'
  '/operations/page.js'
  '/operations/acts.js'
  '/operations/api.js'
  '/operations/details.js'
  '/operations/filters.js'
  '/operations/states.js'
  '/operations/view.js'
  '/operations/base.css'
  '/operations/page.css'
  '/operations/screens.css'
  '/operations/icon.svg'
]

resource plan 'Microsoft.Web/serverfarms@2024-11-01' = {
  name: '${name}-plan'
  location: location
  kind: flex ? 'functionapp' : 'elastic'
  sku: flex ? { tier: 'FlexConsumption', name: 'FC1' } : { tier: 'ElasticPremium', name: 'EP1' }
  properties: {
    reserved: true
    ...(flex ? {} : { maximumElasticWorkerCount: maximumInstances })
  }
}

resource app 'Microsoft.Web/sites@2024-11-01' = {
  name: name
  location: location
  kind: 'functionapp,linux'
  // azd finds the service of azure.yaml by this.
  tags: { 'azd-service-name': 'api' }
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  // `siteUpdateStrategy` is in preview, and newer than the compiler's types; API version 2024-11-01 takes it
  // ("Site update strategies in Flex Consumption").
  #disable-next-line BCP037
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    keyVaultReferenceIdentity: identityId
    ...(inNetwork ? { virtualNetworkSubnetId: subnetId } : {})
    // Flex Consumption sends all traffic through its network anyway.
    ...(inNetwork && !flex ? { outboundVnetRouting: { allTraffic: true } } : {})
    ...(flex
      ? {
          functionAppConfig: {
            deployment: {
              storage: {
                type: 'blobContainer'
                value: packageContainerUrl
                authentication: {
                  type: 'UserAssignedIdentity'
                  userAssignedIdentityResourceId: identityId
                }
              }
            }
            runtime: { name: 'python', version: pythonVersion }
            scaleAndConcurrency: {
              maximumInstanceCount: maximumInstances
              instanceMemoryMB: instanceMemory
              triggers: { http: { perInstanceConcurrency: httpConcurrency } }
              alwaysReady: concat(
                alwaysReadyHttp > 0 ? [{ name: 'http', instanceCount: alwaysReadyHttp }] : [],
                alwaysReadyDurable > 0 ? [{ name: 'durable', instanceCount: alwaysReadyDurable }] : []
              )
            }
            siteUpdateStrategy: { type: updateStrategy }
          }
        }
      : {})
    siteConfig: {
      minTlsVersion: '1.2'
      cors: { allowedOrigins: corsOrigins }
      // Flex Consumption refuses these: it has them in functionAppConfig, or not at all.
      ...(flex
        ? {}
        : {
            ftpsState: 'Disabled'
            linuxFxVersion: 'PYTHON|${pythonVersion}'
            healthCheckPath: '/health'
            functionAppScaleLimit: maximumInstances
            minimumElasticInstanceCount: max(1, alwaysReadyHttp)
            functionsRuntimeScaleMonitoringEnabled: inNetwork
          })
    }
  }

  resource appSettings 'config' = {
    name: 'appsettings'
    properties: settings
  }

  // A swap of slots must not swap hubs and records.
  resource stickySettings 'config' = if (!flex) {
    name: 'slotConfigNames'
    properties: { appSettingNames: ['TASK_HUB_NAME', 'OPERATIONS_NAMESPACE'] }
  }

  resource signIn 'config' = if (!empty(authClientId)) {
    name: 'authsettingsV2'
    // Azure restarts the app for each: one after the other.
    dependsOn: [appSettings]
    properties: {
      platform: { enabled: true }
      globalValidation: {
        requireAuthentication: true
        unauthenticatedClientAction: 'Return401'
        excludedPaths: openPaths
      }
      httpSettings: { requireHttps: true }
      identityProviders: {
        azureActiveDirectory: {
          enabled: true
          registration: {
            clientId: authClientId
            openIdIssuer: '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
          }
          validation: { allowedAudiences: [authClientId, 'api://${authClientId}'] }
        }
      }
      login: { tokenStore: { enabled: false } }
    }
  }

  resource noPasswordsForFtp 'basicPublishingCredentialsPolicies' = if (!flex) {
    name: 'ftp'
    properties: { allow: false }
  }

  resource noPasswordsForDeployment 'basicPublishingCredentialsPolicies' = {
    name: 'scm'
    properties: { allow: false }
  }
}

output name string = app.name
output hostName string = app.properties.defaultHostName
