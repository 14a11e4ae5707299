"""The route by which another system updates an operation, and the declared calls, which such systems also make.

The first asks for no function key: the secret is for one operation, while a key of this function would be one for all
of them, to be kept by every system outside beside the secret (docs/decisions/0006-secret-of-an-external-operation.md).
"""

import azure.durable_functions as df
import azure.functions as func

from blueprints.http import respond
from shared.actions.calls import Call
from shared.composition import Application
from shared.endpoints import calls
from shared.endpoints.external import update


def build(application: Application) -> df.Blueprint:
    blueprint = df.Blueprint()

    @blueprint.function_name("status_update")
    @blueprint.route(route="status/{operation_id}:update", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
    async def status_update(req: func.HttpRequest) -> func.HttpResponse:
        return await respond(req, lambda request: update(application, request))

    for call in application.registry.calls.values():
        _add_call(blueprint, application, call)
    return blueprint


def _add_call(blueprint: df.Blueprint, application: Application, call: Call) -> None:
    @blueprint.function_name(call.endpoint.function_name)
    @blueprint.route(route=call.endpoint.route, methods=["POST"])
    async def caller(req: func.HttpRequest) -> func.HttpResponse:
        return await respond(req, lambda request: calls.run(application, request, call))
