"""The data plane's monitors: read, list, cancel, delete, result."""

import azure.durable_functions as df
import azure.functions as func

from blueprints.http import respond
from shared.actions.patterns import alias_endpoint
from shared.composition import Application
from shared.endpoints.dataplane import DataPlane


def build(application: Application) -> df.Blueprint:
    blueprint = df.Blueprint()
    endpoints = DataPlane(application)

    @blueprint.function_name("status")
    @blueprint.route(route="status/{operation_id}", methods=["GET"])
    async def status(req: func.HttpRequest) -> func.HttpResponse:
        return await respond(req, endpoints.status)

    @blueprint.function_name("status_cancel")
    @blueprint.route(route="status/{operation_id}:cancel", methods=["POST"])
    async def status_cancel(req: func.HttpRequest) -> func.HttpResponse:
        return await respond(req, endpoints.cancel)

    @blueprint.function_name("status_delete")
    @blueprint.route(route="status/{operation_id}", methods=["DELETE"])
    async def status_delete(req: func.HttpRequest) -> func.HttpResponse:
        return await respond(req, endpoints.delete)

    @blueprint.function_name("status_list")
    @blueprint.route(route="status", methods=["GET"])
    async def status_list(req: func.HttpRequest) -> func.HttpResponse:
        return await respond(req, endpoints.list)

    @blueprint.function_name("status_result")
    @blueprint.route(route="status/{operation_id}/result", methods=["GET"])
    async def status_result(req: func.HttpRequest) -> func.HttpResponse:
        return await respond(req, endpoints.result)

    for template, where in application.registry.exclusive_resources().items():
        _add_alias(blueprint, endpoints, template, where)
    return blueprint


def _add_alias(blueprint: df.Blueprint, endpoints: DataPlane, template: str, where: str) -> None:
    alias = alias_endpoint(template, where)

    @blueprint.function_name(alias.function_name)
    @blueprint.route(route=alias.route, methods=alias.methods)
    async def operation_of_resource(req: func.HttpRequest) -> func.HttpResponse:
        return await respond(req, lambda request: endpoints.of_resource(request, template))
