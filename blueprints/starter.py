"""One HTTP function per declared action and per declared read."""

import azure.durable_functions as df
import azure.functions as func

from blueprints.http import respond
from shared.actions.declaration import Action, Read
from shared.composition import Application
from shared.endpoints.dataplane import DataPlane
from shared.engine.durable import DurableEngine


def build(application: Application) -> df.Blueprint:
    blueprint = df.Blueprint()
    endpoints = DataPlane(application)
    for action in application.registry.actions.values():
        _add_action(blueprint, endpoints, action)
    for read in application.registry.reads.values():
        _add_read(blueprint, endpoints, read)
    return blueprint


def _add_action(blueprint: df.Blueprint, endpoints: DataPlane, action: Action) -> None:
    @blueprint.function_name(action.function_name)
    @blueprint.route(route=action.route, methods=[action.method])
    @blueprint.durable_client_input(client_name="client")
    async def starter(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
        return await respond(req, lambda request: endpoints.start(request, action, DurableEngine(client)))


def _add_read(blueprint: df.Blueprint, endpoints: DataPlane, read: Read) -> None:
    @blueprint.function_name(read.function_name)
    @blueprint.route(route=read.route, methods=["GET"])
    async def reader(req: func.HttpRequest) -> func.HttpResponse:
        return await respond(req, lambda request: endpoints.read(request, read))
