"""The route by which another system updates an operation, and the declared calls, which such systems also make.

The first asks for no function key: the secret is for one operation, while a key of this function would be one for all
of them, to be kept by every system outside beside the secret (docs/decisions/0006-secret-of-an-external-operation.md).
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import azure.functions as func

from blueprints.durable import Blueprint
from blueprints.http import responder
from shared.contracts.functions import STATUS_UPDATE

if TYPE_CHECKING:
    from blueprints.http import Respond
    from shared.actions.calls import Call
    from shared.endpoints.admission import Admission
    from shared.endpoints.dataplane.calls import Calls
    from shared.endpoints.dataplane.updates import Updates


def build(
    declared: "Iterable[Call]",
    calls: "Callable[[], Calls]",
    updates: "Callable[[], Updates]",
    admission: "Callable[[], Admission]",
) -> Blueprint:
    blueprint = Blueprint()
    respond = responder(admission)

    @blueprint.function_name(STATUS_UPDATE.function_name)
    @blueprint.route(route=STATUS_UPDATE.route, methods=STATUS_UPDATE.methods, auth_level=func.AuthLevel.ANONYMOUS)
    async def status_update(req: func.HttpRequest) -> func.HttpResponse:
        return await respond(req, lambda request: updates().update(request))

    for call in declared:
        _add_call(blueprint, calls, call, respond)
    return blueprint


def _add_call(blueprint: Blueprint, calls: "Callable[[], Calls]", call: "Call", respond: "Respond") -> None:
    @blueprint.function_name(call.endpoint.function_name)
    @blueprint.route(route=call.endpoint.route, methods=["POST"])
    async def caller(req: func.HttpRequest) -> func.HttpResponse:
        return await respond(req, lambda request: calls().run(request, call))
