"""The scenarios' routes over the product's endpoints: which operation goes by which of the fixtures' ids.

A scenario polls without waiting, and its second poll has to find the end: an operation goes on once its first poll was
answered, and further polls are answered once it has ended.
"""

import json
from contextlib import suppress
from dataclasses import replace
from urllib.parse import urlsplit

import dressing
from actions._gates import is_open, open_gate, shut_gate
from actions.standard import USER, USERS
from actions.templates import orders

from shared.actions.arm.resource import ArmVerb, Verb
from shared.actions.declaration import Action
from shared.composition import Application
from shared.contracts.arm import answers as arm_contract
from shared.contracts.headers import base_url
from shared.contracts.http import Request, Response
from shared.engine.port import Engine
from shared.errors import RequestError

DATA_PLANE_VERSION = "2022-12-01-preview"
ARM_VERSION = "2023-12-01-preview"
_WAIT = 10.0
_PROVIDER = "providers/Azure.ResourceManager.OperationTemplates"


class Scenes:
    """Each scenario's requests, answered by the product and dressed for the fixtures."""

    def __init__(self, application: Application) -> None:
        self._app = application
        self._real: dict[str, str] = {}
        """The product's ids of ARM operations, by the fixtures'."""

    async def start(
        self, request: Request, action: Action, engine: Engine, *, operation_id: str, below: str
    ) -> Response:
        """A data-plane start, whose id the scenario fixes; what an earlier scenario has left under it goes first."""
        request = dressing.own_version(request, DATA_PLANE_VERSION)
        await self._purge(operation_id, engine)
        if action.method == "PUT":
            USERS.pop(request.route["name"], None)
        elif "name" in request.route:
            USERS.setdefault(request.route["name"], "contributor")
        if given := {name: value for name, value in request.query.items() if name == "format"}:
            headers = {**request.headers, "content-type": "application/json"}
            request = replace(request, headers=headers, body=json.dumps(given).encode())
        chosen = replace(request, headers={**request.headers, "operation-id": operation_id})
        response = await self._app.data_plane.start(chosen, action, engine)
        url = f"{base_url(request, self._app.settings)}/{below}/operations/{operation_id}"
        response = dressing.pointing_to(response, "Operation-Location", url)
        return response if action.method == "PUT" else dressing.monitor(response)

    async def status(self, request: Request, engine: Engine) -> Response:
        """A poll of the data plane."""
        request = dressing.own_version(request, DATA_PLANE_VERSION)
        operation_id = request.route["operation_id"]
        await self._when_open(operation_id)
        answer = await (
            self._app.data_plane.of_resource(request, USER, engine)
            if "name" in request.route
            else self._app.data_plane.status(request, engine)
        )
        open_gate(operation_id)
        return dressing.monitor(answer)

    async def user(self, request: Request) -> Response:
        """The user; the scenario leaves the version out here."""
        request = dressing.own_version(request, DATA_PLANE_VERSION, required=False)
        return await self._app.data_plane.read(request, self._app.registry.reads["user:get"])

    async def put_order(self, request: Request, engine: Engine) -> Response:
        """A new order each time: one that is there from an earlier scenario goes first."""
        await self._remove_order(request, engine)
        response = await self._app.arm.start(request, orders, _verb(Verb.WRITE), engine)
        return dressing.order(self._known_as("lro_create_aao", "operations", request, response), is_new=True)

    async def delete_order(self, request: Request, engine: Engine) -> Response:
        """An order is there, whichever scenario came before."""
        if not await self._has_order(request):
            await self._make_order(request, engine)
        response = await self._app.arm.start(request, orders, _verb(Verb.DELETE), engine)
        return self._known_as("lro_delete_location", "operationResults", request, response)

    async def _has_order(self, request: Request) -> bool:
        with suppress(RequestError):
            await self._app.arm.get(replace(request, method="GET"), orders)
            return True
        return False

    async def _make_order(self, request: Request, engine: Engine) -> None:
        body = json.dumps({"location": "eastus"}).encode()
        headers = {**request.headers, "content-type": "application/json"}
        put = replace(request, method="PUT", body=body, headers=headers)
        await self._finish(await self._app.arm.start(put, orders, _verb(Verb.WRITE), engine))

    async def get_order(self, request: Request) -> Response:
        """Asked for at once after the poll that let the operation go on."""
        if operation_id := self._real.get("lro_create_aao"):
            await self._when_open(operation_id)
        return dressing.order(await self._app.arm.get(request, orders))

    async def arm_status(self, request: Request, engine: Engine) -> Response:
        operation_id, asked = self._asked(request)
        await self._when_open(operation_id)
        answer = await self._app.arm_monitors([orders]).status(asked, engine)
        open_gate(operation_id)
        return dressing.arm_status(answer, name=request.route["operationId"], path=request.path)

    async def arm_results(self, request: Request, engine: Engine) -> Response:
        operation_id, asked = self._asked(request)
        await self._when_open(operation_id)
        answer = await self._app.arm_monitors([orders]).results(asked, engine)
        open_gate(operation_id)
        return self._at_itself(request, answer)

    async def report(self, request: Request, engine: Engine) -> Response:
        """A GET that takes long: the start is idempotent, so every poll repeats it; then it is operationResults."""
        operation_id = request.route["operation_id"]
        action = self._app.registry.actions["cost-report:make"]
        route = {"operation_id": operation_id}
        start = replace(request, method="PUT", route=route, query={}, body=b"")
        await self._app.data_plane.start(start, action, engine)
        await self._when_open(operation_id)
        operation = await self._app.service.get("", operation_id)
        content = await self._app.service.result_content(operation)
        monitors = arm_contract.MonitorUrls(
            base_url(request, self._app.settings),
            subscription=request.route["subscriptionId"],
            namespace=orders.namespace,
            location="eastus",
            api_version=ARM_VERSION,
        )
        answer = self._at_itself(request, arm_contract.results_response(operation, content, monitors))
        open_gate(operation_id)
        if operation.status.is_terminal:
            await self._purge(operation_id, engine)
        return answer

    async def _purge(self, operation_id: str, engine: Engine) -> None:
        """Forget an operation of that id, as DELETE of a monitor does, once it has ended."""
        with suppress(RequestError):
            operation = await self._app.service.get("", operation_id)
            open_gate(operation_id)
            await self._app.service.wait(operation, _WAIT)
            await self._app.service.delete("", operation_id, engine)
        shut_gate(operation_id)

    async def _when_open(self, operation_id: str) -> None:
        """Once its gate is open an operation ends soon: wait for that."""
        if is_open(operation_id):
            owner = "" if operation_id not in self._real.values() else _arm_owner()
            with suppress(RequestError):
                await self._app.service.wait(await self._app.service.get(owner, operation_id), _WAIT)

    async def _remove_order(self, request: Request, engine: Engine) -> None:
        delete = replace(request, method="DELETE", body=b"")
        response = await self._app.arm.start(delete, orders, _verb(Verb.DELETE), engine)
        if response.status == 202:
            await self._finish(response)

    async def _finish(self, response: Response) -> None:
        """Let an operation that is no part of a scenario run to its end."""
        url = response.headers.get("Azure-AsyncOperation") or response.headers["Location"]
        operation_id = _last_segment(url)
        open_gate(operation_id)
        owner = _arm_owner()
        await self._app.service.wait(await self._app.service.get(owner, operation_id), _WAIT)

    def _known_as(self, name: str, collection: str, request: Request, response: Response) -> Response:
        """Remember the operation under the fixture's id, and lead the header to the fixture's URL."""
        header = next(each for each in ("Azure-AsyncOperation", "Location") if each in response.headers)
        self._real[name] = _last_segment(response.headers[header])
        subscription = request.route["subscriptionId"]
        path = f"subscriptions/{subscription}/{_PROVIDER}/locations/eastus/{collection}/{name}"
        return dressing.pointing_to(response, header, f"{base_url(request, self._app.settings)}/{path}")

    def _asked(self, request: Request) -> tuple[str, Request]:
        real = self._real.get(request.route["operationId"], "unknown")
        return real, replace(request, route={**request.route, "operationId": real, "location": "eastus"})

    def _at_itself(self, request: Request, response: Response) -> Response:
        """The fixtures poll one URL, and its `Location` names it."""
        if "Location" not in response.headers:
            return response
        return dressing.pointing_to(response, "Location", f"{base_url(request, self._app.settings)}{request.path}")


def _verb(kind: Verb) -> ArmVerb:
    return next(verb for verb in orders.verbs if verb.verb is kind)


def _arm_owner() -> str:
    return "arm:00000000-0000-0000-0000-000000000000"


def _last_segment(url: str) -> str:
    return urlsplit(url).path.rpartition("/")[2]
