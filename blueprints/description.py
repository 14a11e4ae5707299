"""The app's description, and the page on which people read it and try it.

The page and its files ask for no key: a browser cannot send one with the address that a person types. They hold nothing
that is not public; the description itself asks for a key as everything else does.
"""

import azure.durable_functions as df
import azure.functions as func

from blueprints.http import respond
from shared.composition import Application
from shared.endpoints.description import Description


def build(application: Application) -> df.Blueprint:
    blueprint = df.Blueprint()
    endpoints = Description(application)

    @blueprint.function_name("openapi")
    @blueprint.route(route="openapi.json", methods=["GET"])
    async def openapi(req: func.HttpRequest) -> func.HttpResponse:
        return await respond(req, endpoints.openapi)

    @blueprint.function_name("docs")
    @blueprint.route(route="docs", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
    async def docs(req: func.HttpRequest) -> func.HttpResponse:
        return await respond(req, endpoints.page)

    @blueprint.function_name("docs_file")
    @blueprint.route(route="docs/{file}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
    async def docs_file(req: func.HttpRequest) -> func.HttpResponse:
        return await respond(req, endpoints.file)

    return blueprint
