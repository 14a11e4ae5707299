metadata description = 'A virtual network with a subnet for the app and one for private endpoints.'

param name string
param location string
param flex bool

resource network 'Microsoft.Network/virtualNetworks@2024-05-01' = {
  name: '${name}-network'
  location: location
  properties: {
    addressSpace: { addressPrefixes: ['10.0.0.0/16'] }
  }

  resource app 'subnets' = {
    name: 'app'
    properties: {
      addressPrefix: '10.0.0.0/24'
      delegations: [
        {
          name: 'app'
          properties: { serviceName: flex ? 'Microsoft.App/environments' : 'Microsoft.Web/serverFarms' }
        }
      ]
    }
  }

  resource privateEndpoints 'subnets' = {
    name: 'private-endpoints'
    // Azure changes one subnet of a network at a time.
    dependsOn: [app]
    properties: {
      addressPrefix: '10.0.1.0/24'
      privateEndpointNetworkPolicies: 'Disabled'
    }
  }
}

output networkId string = network.id
output appSubnetId string = network::app.id
output privateEndpointSubnetId string = network::privateEndpoints.id
