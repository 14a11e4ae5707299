"""The functions of the OData service: one per entity set, per operation, and per resource of the protocol."""

import azure.durable_functions as df
import azure.functions as func

from blueprints.http import from_sdk, to_sdk
from shared.actions.routes import Endpoint
from shared.composition import Application
from shared.endpoints.odata import OData
from shared.engine.durable import DurableEngine


def build(application: Application) -> df.Blueprint:
    blueprint = df.Blueprint()
    service = application.registry.odata
    if service is not None:
        endpoints = OData(application, service)
        for endpoint in service.endpoints():
            # What is posted may be asked for asynchronously; reads never touch the engine.
            add = _add_starter if "POST" in endpoint.methods else _add_reader
            add(blueprint, endpoints, endpoint)
    return blueprint


def _add_starter(blueprint: df.Blueprint, endpoints: OData, endpoint: Endpoint) -> None:
    @blueprint.function_name(endpoint.function_name)
    @blueprint.route(route=endpoint.route, methods=list(endpoint.methods))
    @blueprint.durable_client_input(client_name="client")
    async def starter(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
        return to_sdk(await endpoints.answer(from_sdk(req), DurableEngine(client)))


def _add_reader(blueprint: df.Blueprint, endpoints: OData, endpoint: Endpoint) -> None:
    @blueprint.function_name(endpoint.function_name)
    @blueprint.route(route=endpoint.route, methods=list(endpoint.methods))
    async def reader(req: func.HttpRequest) -> func.HttpResponse:
        return to_sdk(await endpoints.answer(from_sdk(req)))
