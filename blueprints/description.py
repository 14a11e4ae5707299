"""The app's description, and the page on which people read it and try it.

The page and its files ask for no key: a browser cannot send one with the address that a person types. They hold nothing
that is not public; the description itself asks for a key as everything else does.
"""

from collections.abc import Callable

import azure.functions as func

from blueprints.durable import Blueprint
from blueprints.http import responder
from shared.contracts.functions import DOCS, DOCS_FILE, OPENAPI
from shared.endpoints.admission import Admission
from shared.endpoints.description import Description


def build(endpoints: Callable[[], Description], admission: Callable[[], Admission]) -> Blueprint:
    blueprint = Blueprint()
    respond = responder(admission)

    @blueprint.function_name(OPENAPI.function_name)
    @blueprint.route(route=OPENAPI.route, methods=OPENAPI.methods)
    async def openapi(req: func.HttpRequest) -> func.HttpResponse:
        return await respond(req, lambda request: endpoints().openapi(request))

    @blueprint.function_name(DOCS.function_name)
    @blueprint.route(route=DOCS.route, methods=DOCS.methods, auth_level=func.AuthLevel.ANONYMOUS)
    async def docs(req: func.HttpRequest) -> func.HttpResponse:
        return await respond(req, lambda request: endpoints().page(request))

    @blueprint.function_name(DOCS_FILE.function_name)
    @blueprint.route(route=DOCS_FILE.route, methods=DOCS_FILE.methods, auth_level=func.AuthLevel.ANONYMOUS)
    async def docs_file(req: func.HttpRequest) -> func.HttpResponse:
        return await respond(req, lambda request: endpoints().file(request))

    return blueprint
