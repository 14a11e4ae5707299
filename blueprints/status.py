"""The data plane's monitors: read, list, cancel, delete, run again, result.

A read starts an operation again that was lost.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import azure.functions as func

from blueprints.durable import Blueprint, DurableEngine, durable_client
from blueprints.http import responder
from shared.actions.patterns import alias_endpoint
from shared.contracts.functions import (
    STATUS,
    STATUS_CANCEL,
    STATUS_DELETE,
    STATUS_LIST,
    STATUS_RESULT,
    STATUS_RETRY,
)

if TYPE_CHECKING:
    from blueprints.http import Respond
    from shared.endpoints.admission import Admission
    from shared.endpoints.dataplane.routes import DataPlane


def build(
    exclusive_resources: Mapping[str, str], endpoints: "Callable[[], DataPlane]", admission: "Callable[[], Admission]"
) -> Blueprint:
    """`exclusive_resources`: templates of resources, each with the action that declares it."""
    blueprint = Blueprint()
    respond = responder(admission)

    @blueprint.function_name(STATUS.function_name)
    @blueprint.route(route=STATUS.route, methods=STATUS.methods)
    @durable_client(blueprint)
    async def status(req: func.HttpRequest, client: str) -> func.HttpResponse:
        return await respond(req, lambda request: endpoints().status(request, DurableEngine(client)))

    @blueprint.function_name(STATUS_CANCEL.function_name)
    @blueprint.route(route=STATUS_CANCEL.route, methods=STATUS_CANCEL.methods)
    async def status_cancel(req: func.HttpRequest) -> func.HttpResponse:
        return await respond(req, lambda request: endpoints().cancel(request))

    @blueprint.function_name(STATUS_DELETE.function_name)
    @blueprint.route(route=STATUS_DELETE.route, methods=STATUS_DELETE.methods)
    @durable_client(blueprint)
    async def status_delete(req: func.HttpRequest, client: str) -> func.HttpResponse:
        return await respond(req, lambda request: endpoints().delete(request, DurableEngine(client)))

    @blueprint.function_name(STATUS_LIST.function_name)
    @blueprint.route(route=STATUS_LIST.route, methods=STATUS_LIST.methods)
    async def status_list(req: func.HttpRequest) -> func.HttpResponse:
        return await respond(req, lambda request: endpoints().list(request))

    @blueprint.function_name(STATUS_RESULT.function_name)
    @blueprint.route(route=STATUS_RESULT.route, methods=STATUS_RESULT.methods)
    @durable_client(blueprint)
    async def status_result(req: func.HttpRequest, client: str) -> func.HttpResponse:
        return await respond(req, lambda request: endpoints().result(request, DurableEngine(client)))

    @blueprint.function_name(STATUS_RETRY.function_name)
    @blueprint.route(route=STATUS_RETRY.route, methods=STATUS_RETRY.methods)
    @durable_client(blueprint)
    async def status_retry(req: func.HttpRequest, client: str) -> func.HttpResponse:
        return await respond(req, lambda request: endpoints().retry(request, DurableEngine(client)))

    for template, where in exclusive_resources.items():
        _add_alias(blueprint, endpoints, template, where, respond)
    return blueprint


def _add_alias(
    blueprint: Blueprint, endpoints: "Callable[[], DataPlane]", template: str, where: str, respond: "Respond"
) -> None:
    alias = alias_endpoint(template, where)

    @blueprint.function_name(alias.function_name)
    @blueprint.route(route=alias.route, methods=alias.methods)
    @durable_client(blueprint)
    async def operation_of_resource(req: func.HttpRequest, client: str) -> func.HttpResponse:
        return await respond(req, lambda request: endpoints().of_resource(request, template, DurableEngine(client)))
