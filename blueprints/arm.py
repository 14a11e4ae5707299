"""The functions of ARM resources: one per declared verb, the reads of each resource, the monitors of each namespace."""

from collections.abc import Awaitable, Callable, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING

import azure.functions as func

from blueprints.durable import Blueprint, DurableEngine, durable_client
from blueprints.http import responder

if TYPE_CHECKING:
    from blueprints.http import Respond
    from shared.actions.arm.resource import ArmResource, ArmVerb
    from shared.actions.registry import Registry
    from shared.actions.routes import Endpoint
    from shared.contracts.http import Request, Response
    from shared.endpoints.admission import Admission
    from shared.endpoints.arm.monitors import ArmMonitors
    from shared.endpoints.arm.routes import Arm
    from shared.engine.port import Engine


def build(
    registry: "Registry",
    endpoints: "Callable[[], Arm]",
    monitors: "Callable[[Sequence[ArmResource]], ArmMonitors]",
    admission: "Callable[[], Admission]",
) -> Blueprint:
    """`monitors` makes the endpoints of one namespace's monitors."""
    blueprint = Blueprint()
    respond = responder(admission, _answer)
    for resource in registry.resources:
        for verb in resource.verbs:
            _add_verb(blueprint, endpoints, resource, verb, respond)
        _add_reads(blueprint, endpoints, resource, respond)
    for resources in registry.namespaces().values():
        _add_monitors(blueprint, cache(partial(monitors, resources)), resources[0], respond)
    return blueprint


async def _answer(request: "Request", endpoint: "Callable[[Request], Awaitable[Response]]") -> "Response":
    from shared.endpoints.arm.boundary import answer  # noqa: PLC0415 - no import of the app waits for it

    return await answer(request, endpoint)


def _add_verb(
    blueprint: Blueprint, endpoints: "Callable[[], Arm]", resource: "ArmResource", verb: "ArmVerb", respond: "Respond"
) -> None:
    @blueprint.function_name(verb.action.function_name)
    @blueprint.route(route=verb.action.route, methods=[verb.action.method])
    @durable_client(blueprint)
    async def starter(req: func.HttpRequest, client: str) -> func.HttpResponse:
        engine = DurableEngine(client)
        return await respond(req, lambda request: endpoints().start(request, resource, verb, engine))


def _add_reads(
    blueprint: Blueprint, endpoints: "Callable[[], Arm]", resource: "ArmResource", respond: "Respond"
) -> None:
    async def get(request: "Request") -> "Response":
        return await endpoints().get(request, resource)

    async def list(request: "Request") -> "Response":
        return await endpoints().list(request, resource)

    reads = resource.read_endpoints
    _add(blueprint, reads.get, get, respond)
    _add(blueprint, reads.list, list, respond)
    _add(blueprint, reads.list_all, list, respond)


def _add_monitors(
    blueprint: Blueprint, monitors: "Callable[[], ArmMonitors]", resource: "ArmResource", respond: "Respond"
) -> None:
    endpoints = resource.monitor_endpoints
    _add_monitor(blueprint, endpoints.status, lambda request, engine: monitors().status(request, engine), respond)
    _add(blueprint, endpoints.cancel, lambda request: monitors().cancel(request), respond)
    _add_monitor(blueprint, endpoints.results, lambda request, engine: monitors().results(request, engine), respond)


def _add_monitor(
    blueprint: Blueprint,
    endpoint: "Endpoint",
    serve: "Callable[[Request, Engine], Awaitable[Response]]",
    respond: "Respond",
) -> None:
    @blueprint.function_name(endpoint.function_name)
    @blueprint.route(route=endpoint.route, methods=list(endpoint.methods))
    @durable_client(blueprint)
    async def monitor(req: func.HttpRequest, client: str) -> func.HttpResponse:
        return await respond(req, lambda request: serve(request, DurableEngine(client)))


def _add(
    blueprint: Blueprint, endpoint: "Endpoint", serve: "Callable[[Request], Awaitable[Response]]", respond: "Respond"
) -> None:
    @blueprint.function_name(endpoint.function_name)
    @blueprint.route(route=endpoint.route, methods=list(endpoint.methods))
    async def function(req: func.HttpRequest) -> func.HttpResponse:
        return await respond(req, serve)
