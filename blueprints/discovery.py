"""Health, and the answer to what no other function takes."""

import azure.durable_functions as df
import azure.functions as func

from blueprints.http import from_sdk, respond, to_sdk
from shared.composition import FALLBACK, Application
from shared.contracts.http import Request, Response, json_response
from shared.endpoints.unknown import answer_unknown


def build(application: Application) -> df.Blueprint:
    blueprint = df.Blueprint()

    async def healthy(request: Request) -> Response:
        return json_response(200, {"status": "Healthy"})

    @blueprint.function_name("health")
    @blueprint.route(route="health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
    async def health(req: func.HttpRequest) -> func.HttpResponse:
        return await respond(req, healthy)

    # Without `methods` a function takes them all.
    @blueprint.function_name(FALLBACK)
    @blueprint.route(route="{*path}")
    async def fallback(req: func.HttpRequest) -> func.HttpResponse:
        return to_sdk(await answer_unknown(application, from_sdk(req)))

    return blueprint
