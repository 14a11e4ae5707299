"""The functions of the OData service: one per entity set, per operation, and per resource of the protocol."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import azure.functions as func

from blueprints.durable import Blueprint, DurableEngine, durable_client
from blueprints.http import exchange
from blueprints.invocations import invocation_of
from shared.actions.odata.routes import MONITOR_ROUTE

if TYPE_CHECKING:
    from shared.actions.odata.service import ODataService
    from shared.actions.routes import Endpoint
    from shared.contracts.http import Request, Response
    from shared.endpoints.odata.service import OData
    from shared.engine.port import Engine

    Answer = Callable[[Request, Engine | None], Awaitable[Response]]


def build(service: "ODataService", endpoints: "Callable[[], OData]") -> Blueprint:
    """The first OData request loads the endpoints: no other function's cold start waits for that."""
    blueprint = Blueprint()

    async def answer(request: "Request", engine: "Engine | None") -> "Response":
        return await endpoints().answer(request, engine)

    for endpoint in service.endpoints():
        # What is posted may be asked for asynchronously, and a monitor's operation may have been lost.
        starts = "POST" in endpoint.methods or endpoint.route.startswith(MONITOR_ROUTE)
        add = _add_starter if starts else _add_reader
        add(blueprint, answer, endpoint)
    return blueprint


def _add_starter(blueprint: Blueprint, answer: "Answer", endpoint: "Endpoint") -> None:
    @blueprint.function_name(endpoint.function_name)
    @blueprint.route(route=endpoint.route, methods=list(endpoint.methods))
    @durable_client(blueprint)
    async def starter(req: func.HttpRequest, client: str, context: func.Context) -> func.HttpResponse:
        with invocation_of(context).entered():  # a handler may run in the request
            return await exchange(req, lambda request: answer(request, DurableEngine(client)))


def _add_reader(blueprint: Blueprint, answer: "Answer", endpoint: "Endpoint") -> None:
    @blueprint.function_name(endpoint.function_name)
    @blueprint.route(route=endpoint.route, methods=list(endpoint.methods))
    async def reader(req: func.HttpRequest) -> func.HttpResponse:
        return await exchange(req, lambda request: answer(request, None))
