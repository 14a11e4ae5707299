"""The functions of ARM resources: one per declared verb, the reads of each resource, the monitors of each namespace."""

from collections.abc import Awaitable, Callable

import azure.durable_functions as df
import azure.functions as func

from blueprints.http import from_sdk, to_sdk
from shared.actions.arm import ArmResource, ArmVerb, monitor_endpoints
from shared.actions.routes import Endpoint
from shared.composition import Application
from shared.contracts.http import Request, Response
from shared.endpoints.arm import Arm
from shared.endpoints.arm_border import answer
from shared.endpoints.arm_monitors import ArmMonitors
from shared.engine.durable import DurableEngine


def build(application: Application) -> df.Blueprint:
    blueprint = df.Blueprint()
    endpoints = Arm(application)
    for resource in application.registry.resources:
        for verb in resource.verbs:
            _add_verb(blueprint, endpoints, resource, verb)
        _add_reads(blueprint, endpoints, resource)
    for resources in application.registry.namespaces().values():
        _add_monitors(blueprint, ArmMonitors(application, resources), resources[0])
    return blueprint


def _add_verb(blueprint: df.Blueprint, endpoints: Arm, resource: ArmResource, verb: ArmVerb) -> None:
    @blueprint.function_name(verb.action.function_name)
    @blueprint.route(route=verb.action.route, methods=[verb.action.method])
    @blueprint.durable_client_input(client_name="client")
    async def starter(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
        engine = DurableEngine(client)
        return await _respond(req, lambda request: endpoints.start(request, resource, verb, engine))


def _add_reads(blueprint: df.Blueprint, endpoints: Arm, resource: ArmResource) -> None:
    async def get(request: Request) -> Response:
        return await endpoints.get(request, resource)

    async def list(request: Request) -> Response:
        return await endpoints.list(request, resource)

    by_name = {endpoint.function_name.rpartition("_")[2]: endpoint for endpoint in resource.endpoints()[-3:]}
    _add(blueprint, by_name["get"], get)
    _add(blueprint, by_name["list"], list)
    _add(blueprint, by_name["listAll"], list)


def _add_monitors(blueprint: df.Blueprint, monitors: ArmMonitors, resource: ArmResource) -> None:
    status, cancel, results = monitor_endpoints(resource.namespace, resource.where)
    _add(blueprint, status, monitors.status)
    _add(blueprint, cancel, monitors.cancel)
    _add(blueprint, results, monitors.results)


def _add(blueprint: df.Blueprint, endpoint: Endpoint, serve: Callable[[Request], Awaitable[Response]]) -> None:
    @blueprint.function_name(endpoint.function_name)
    @blueprint.route(route=endpoint.route, methods=list(endpoint.methods))
    async def function(req: func.HttpRequest) -> func.HttpResponse:
        return await _respond(req, serve)


async def _respond(request: func.HttpRequest, serve: Callable[[Request], Awaitable[Response]]) -> func.HttpResponse:
    return to_sdk(await answer(from_sdk(request), serve))
