"""One HTTP function per declared action and per declared read."""

import azure.durable_functions as df
import azure.functions as func

from blueprints.http import respond
from shared.actions.declaration import Action, Read
from shared.actions.patterns import Pattern, own_endpoints
from shared.composition import Application
from shared.endpoints.dataplane import DataPlane
from shared.engine.durable import DurableEngine


def build(application: Application) -> df.Blueprint:
    blueprint = df.Blueprint()
    endpoints = DataPlane(application)
    for action in application.registry.actions.values():
        _add_action(blueprint, endpoints, action)
        if action.pattern is Pattern.PUT_OPERATION:
            _add_own_monitor(blueprint, endpoints, action)
    for read in application.registry.reads.values():
        _add_read(blueprint, endpoints, read)
    return blueprint


def _add_action(blueprint: df.Blueprint, endpoints: DataPlane, action: Action) -> None:
    @blueprint.function_name(action.function_name)
    @blueprint.route(route=action.route, methods=[action.method])
    @blueprint.durable_client_input(client_name="client")
    async def starter(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
        return await respond(req, lambda request: endpoints.start(request, action, DurableEngine(client)))


def _add_own_monitor(blueprint: df.Blueprint, endpoints: DataPlane, action: Action) -> None:
    get, cancel, delete = own_endpoints(action.function_name, action.route, action.where)

    @blueprint.function_name(get.function_name)
    @blueprint.route(route=get.route, methods=get.methods)
    async def own_status(req: func.HttpRequest) -> func.HttpResponse:
        return await respond(req, lambda request: endpoints.own_status(request, action))

    @blueprint.function_name(cancel.function_name)
    @blueprint.route(route=cancel.route, methods=cancel.methods)
    async def own_cancel(req: func.HttpRequest) -> func.HttpResponse:
        return await respond(req, lambda request: endpoints.own_cancel(request, action))

    @blueprint.function_name(delete.function_name)
    @blueprint.route(route=delete.route, methods=delete.methods)
    async def own_delete(req: func.HttpRequest) -> func.HttpResponse:
        return await respond(req, lambda request: endpoints.own_delete(request, action))


def _add_read(blueprint: df.Blueprint, endpoints: DataPlane, read: Read) -> None:
    @blueprint.function_name(read.function_name)
    @blueprint.route(route=read.route, methods=["GET"])
    async def reader(req: func.HttpRequest) -> func.HttpResponse:
        return await respond(req, lambda request: endpoints.read(request, read))
