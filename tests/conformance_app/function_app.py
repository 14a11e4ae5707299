"""The function app of the conformance run: the product's engine and runner, and HTTP functions as the fixtures want."""

import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import azure.durable_functions as df
import azure.functions as func

sys.path.insert(0, str(Path(__file__).parent))

from scenes import Scenes

import actions
from blueprints import discovery, dispatcher, housekeeping, orchestrator
from blueprints.durable import DurableEngine
from blueprints.http import respond
from shared.actions.registry import discover
from shared.composition import Application
from shared.contracts.http import Request, Response
from shared.settings import function_timeout

host_json = Path(__file__).with_name("host.json")
application = Application(
    discover(actions), host_json=host_json, function_timeout=function_timeout(host_json, os.environ)
)
_scenes = Scenes(application)
_actions = application.registry.actions

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
for _blueprint in (
    orchestrator.build(),
    dispatcher.build(lambda: application.runner),
    housekeeping.build(application.settings_at_import.housekeeping_schedule, lambda: application.housekeeping),
    discovery.build(lambda: application.health, lambda: application.unknown),
):
    app.register_functions(_blueprint)


def _starter(
    name: str, method: str, route: str, serve: Callable[[Request, DurableEngine], Awaitable[Response]]
) -> None:
    @app.function_name(name)
    @app.route(route=route, methods=[method])
    @app.durable_client_input(client_name="client")
    async def start(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
        engine = DurableEngine(client)
        return await respond(req, lambda request: serve(request, engine))


def _reader(name: str, route: str, serve: Callable[[Request], Awaitable[Response]]) -> None:
    @app.function_name(name)
    @app.route(route=route, methods=["GET"])
    async def read(req: func.HttpRequest) -> func.HttpResponse:
        return await respond(req, serve)


def _data_plane(name: str, action: str, operation_id: str, below: str) -> None:
    declared = _actions[action]
    _starter(
        name,
        declared.method,
        declared.route,
        lambda request, engine: _scenes.start(request, declared, engine, operation_id=operation_id, below=below),
    )


_USERS = "azure/core/lro/standard/users/madge"
_GENERATIONS = "azure/core/lro/rpc/generations"
_PROVIDER = "providers/Azure.ResourceManager.OperationTemplates"
_ORDER = f"subscriptions/{{subscriptionId}}/resourceGroups/{{resourceGroupName}}/{_PROVIDER}/orders/{{name}}"
_LOCATION = f"subscriptions/{{subscriptionId}}/{_PROVIDER}/locations/eastus"

_data_plane("user_put", "user:put", "operation1", _USERS)
_data_plane("user_delete", "user:delete", "operation2", _USERS)
_data_plane("user_export", "user:export", "operation3", _USERS)
_data_plane("generation_submit", "generation:submit", "operation1", _GENERATIONS)
_reader("user_get", "azure/core/lro/standard/users/{name}", _scenes.user)
_starter("user_operation", "GET", "azure/core/lro/standard/users/{name}/operations/{operation_id}", _scenes.status)
_starter("generation_operation", "GET", f"{_GENERATIONS}/operations/{{operation_id}}", _scenes.status)
_starter("order_put", "PUT", _ORDER, _scenes.put_order)
_starter("order_delete", "DELETE", _ORDER, _scenes.delete_order)
_reader("order_get", _ORDER, _scenes.get_order)
_starter("order_status", "GET", f"{_LOCATION}/operations/{{operationId}}", _scenes.arm_status)
_starter("order_results", "GET", f"{_LOCATION}/operationResults/{{operationId}}", _scenes.arm_results)
_starter(
    "report_get",
    "GET",
    f"subscriptions/{{subscriptionId}}/resourceGroups/{{resourceGroupName}}/{_PROVIDER}/costReports/{{operation_id}}",
    _scenes.report,
)
