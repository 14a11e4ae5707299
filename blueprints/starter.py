"""One HTTP function per declared action and per declared read."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import azure.functions as func

from blueprints.durable import Blueprint, DurableEngine, durable_client
from blueprints.http import responder
from shared.actions.patterns import Pattern, operation_endpoints
from shared.actions.routes import READ

if TYPE_CHECKING:
    from blueprints.http import Respond
    from shared.actions.declaration import Action, Read
    from shared.actions.registry import Registry
    from shared.endpoints.admission import Admission
    from shared.endpoints.dataplane.routes import DataPlane


def build(
    registry: "Registry", endpoints: "Callable[[], DataPlane]", admission: "Callable[[], Admission]"
) -> Blueprint:
    blueprint = Blueprint()
    respond = responder(admission)
    for action in registry.actions.values():
        _add_action(blueprint, endpoints, action, respond)
        if action.pattern is Pattern.PUT_OPERATION:
            _add_operation_monitor(blueprint, endpoints, action, respond)
    for read in registry.reads.values():
        _add_read(blueprint, endpoints, read, respond)
    return blueprint


def _add_action(
    blueprint: Blueprint, endpoints: "Callable[[], DataPlane]", action: "Action", respond: "Respond"
) -> None:
    @blueprint.function_name(action.function_name)
    @blueprint.route(route=action.route, methods=[action.method])
    @durable_client(blueprint)
    async def starter(req: func.HttpRequest, client: str) -> func.HttpResponse:
        return await respond(req, lambda request: endpoints().start(request, action, DurableEngine(client)))


def _add_operation_monitor(
    blueprint: Blueprint, endpoints: "Callable[[], DataPlane]", action: "Action", respond: "Respond"
) -> None:
    get, cancel, delete = operation_endpoints(action.function_name, action.route, action.where)

    @blueprint.function_name(get.function_name)
    @blueprint.route(route=get.route, methods=get.methods)
    @durable_client(blueprint)
    async def operation_status(req: func.HttpRequest, client: str) -> func.HttpResponse:
        engine = DurableEngine(client)
        return await respond(req, lambda request: endpoints().operation_status(request, action, engine))

    @blueprint.function_name(cancel.function_name)
    @blueprint.route(route=cancel.route, methods=cancel.methods)
    async def operation_cancel(req: func.HttpRequest) -> func.HttpResponse:
        return await respond(req, lambda request: endpoints().operation_cancel(request, action))

    @blueprint.function_name(delete.function_name)
    @blueprint.route(route=delete.route, methods=delete.methods)
    @durable_client(blueprint)
    async def operation_delete(req: func.HttpRequest, client: str) -> func.HttpResponse:
        engine = DurableEngine(client)
        return await respond(req, lambda request: endpoints().operation_delete(request, action, engine))


def _add_read(blueprint: Blueprint, endpoints: "Callable[[], DataPlane]", read: "Read", respond: "Respond") -> None:
    @blueprint.function_name(read.function_name)
    @blueprint.route(route=read.route, methods=READ)
    async def reader(req: func.HttpRequest) -> func.HttpResponse:
        return await respond(req, lambda request: endpoints().read(request, read))
