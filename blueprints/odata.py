"""The functions of the OData service: one per entity set, per operation, and per resource of the protocol."""

from collections.abc import Awaitable, Callable
from functools import cache
from typing import TYPE_CHECKING

import azure.durable_functions as df
import azure.functions as func

from blueprints.http import from_sdk, to_sdk
from shared.actions.routes import Endpoint
from shared.composition import Application
from shared.contracts.http import Request, Response
from shared.engine.durable import DurableEngine
from shared.engine.port import Engine

if TYPE_CHECKING:
    from shared.endpoints.odata import OData

Answer = Callable[[Request, Engine | None], Awaitable[Response]]


def build(application: Application) -> df.Blueprint:
    blueprint = df.Blueprint()
    service = application.registry.odata
    if service is not None:

        @cache
        def endpoints() -> "OData":
            # The first OData request loads them: no other function's cold start waits for that.
            from shared.endpoints.odata import OData  # noqa: PLC0415

            return OData(application, service)

        application.runs_also(lambda: endpoints().batches.action)

        async def answer(request: Request, engine: Engine | None) -> Response:
            return await endpoints().answer(request, engine)

        for endpoint in service.endpoints():
            # What is posted may be asked for asynchronously; reads never touch the engine.
            add = _add_starter if "POST" in endpoint.methods else _add_reader
            add(blueprint, answer, endpoint)
    return blueprint


def _add_starter(blueprint: df.Blueprint, answer: Answer, endpoint: Endpoint) -> None:
    @blueprint.function_name(endpoint.function_name)
    @blueprint.route(route=endpoint.route, methods=list(endpoint.methods))
    @blueprint.durable_client_input(client_name="client")
    async def starter(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
        return to_sdk(await answer(from_sdk(req), DurableEngine(client)))


def _add_reader(blueprint: df.Blueprint, answer: Answer, endpoint: Endpoint) -> None:
    @blueprint.function_name(endpoint.function_name)
    @blueprint.route(route=endpoint.route, methods=list(endpoint.methods))
    async def reader(req: func.HttpRequest) -> func.HttpResponse:
        return to_sdk(await answer(from_sdk(req), None))
