"""The app's description, and its pages for people: one to read that and try it, one to watch operations.

The pages and their files ask for no key: a browser cannot send one with the address that a person types. They hold
nothing that is not public; what they fetch asks for a key as everything else does.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import azure.functions as func

from blueprints.durable import Blueprint
from blueprints.http import responder
from shared.contracts.functions import DOCS, DOCS_FILE, OPENAPI, OPERATIONS, OPERATIONS_FILE

if TYPE_CHECKING:
    from shared.endpoints.admission import Admission
    from shared.endpoints.description import Description
    from shared.endpoints.operations_ui import OperationsPage


def build(
    endpoints: "Callable[[], Description]",
    operations_page: "Callable[[], OperationsPage]",
    admission: "Callable[[], Admission]",
) -> Blueprint:
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

    @blueprint.function_name(OPERATIONS.function_name)
    @blueprint.route(route=OPERATIONS.route, methods=OPERATIONS.methods, auth_level=func.AuthLevel.ANONYMOUS)
    async def operations(req: func.HttpRequest) -> func.HttpResponse:
        return await respond(req, lambda request: operations_page().page(request))

    @blueprint.function_name(OPERATIONS_FILE.function_name)
    @blueprint.route(route=OPERATIONS_FILE.route, methods=OPERATIONS_FILE.methods, auth_level=func.AuthLevel.ANONYMOUS)
    async def operations_file(req: func.HttpRequest) -> func.HttpResponse:
        return await respond(req, lambda request: operations_page().file(request))

    return blueprint
