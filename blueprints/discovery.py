"""Health, and the answer to what no other function takes."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import azure.functions as func

from blueprints.durable import Blueprint
from blueprints.http import exchange, respond
from shared.contracts.functions import FALLBACK, HEALTH

if TYPE_CHECKING:
    from shared.endpoints.health import Health
    from shared.endpoints.unknown import Unknown


def build(health_of: "Callable[[], Health]", unknown: "Callable[[], Unknown]") -> Blueprint:
    blueprint = Blueprint()

    @blueprint.function_name(HEALTH.function_name)
    @blueprint.route(route=HEALTH.route, methods=HEALTH.methods, auth_level=func.AuthLevel.ANONYMOUS)
    async def health(req: func.HttpRequest) -> func.HttpResponse:
        return await respond(req, lambda request: health_of().answer(request))

    # Without `methods` a function takes them all.
    @blueprint.function_name(FALLBACK)
    @blueprint.route(route="{*path}")
    async def fallback(req: func.HttpRequest) -> func.HttpResponse:
        return await exchange(req, lambda request: unknown().answer(request))

    return blueprint
