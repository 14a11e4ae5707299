"""The operators' switch for actions that are paused."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import azure.functions as func

from blueprints.durable import Blueprint
from blueprints.http import responder
from shared.contracts.functions import PAUSE, PAUSES, RESUME

if TYPE_CHECKING:
    from shared.endpoints.admission import Admission
    from shared.endpoints.pauses import PauseSwitch


def build(switch: "Callable[[], PauseSwitch]", admission: "Callable[[], Admission]") -> Blueprint:
    blueprint = Blueprint()
    respond = responder(admission)

    @blueprint.function_name(PAUSES.function_name)
    @blueprint.route(route=PAUSES.route, methods=PAUSES.methods)
    async def pauses(req: func.HttpRequest) -> func.HttpResponse:
        return await respond(req, lambda request: switch().list(request))

    @blueprint.function_name(PAUSE.function_name)
    @blueprint.route(route=PAUSE.route, methods=PAUSE.methods)
    async def pauses_pause(req: func.HttpRequest) -> func.HttpResponse:
        return await respond(req, lambda request: switch().pause(request))

    @blueprint.function_name(RESUME.function_name)
    @blueprint.route(route=RESUME.route, methods=RESUME.methods)
    async def pauses_resume(req: func.HttpRequest) -> func.HttpResponse:
        return await respond(req, lambda request: switch().resume(request))

    return blueprint
