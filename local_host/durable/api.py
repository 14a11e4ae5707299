"""The part of the task hub's HTTP API that the SDK's durable client uses to start, show, end and purge an instance.

Source: "HTTP API reference" of Durable Functions; what the client sends and expects is
`azure/durable_functions/models/DurableOrchestrationClient.py`. The rest of that API is answered with 501 and a message.
"""

import json
from datetime import datetime
from typing import Any
from uuid import uuid4

from aiohttp import web

from local_host.durable.binding import PREFIX, management_urls
from local_host.durable.hub import Instance, InstanceExistsError
from local_host.durable.worker import DurableWorker

_NOT_SERVED_FLAGS = ("showHistory", "returnInternalServerErrorOnFailure")


class DurableApi:
    """Handlers over the task hub of one worker."""

    def __init__(self, worker: DurableWorker, base_url: str, task_hub: str) -> None:
        self._worker = worker
        self._base_url = base_url
        self._task_hub = task_hub

    def routes(self) -> list[web.RouteDef]:
        """To be served before any function's route."""
        instance = f"{PREFIX}/instances/{{id}}"
        return [
            web.post(f"{PREFIX}/orchestrators/{{name}}", self._start),
            web.post(f"{PREFIX}/orchestrators/{{name}}/{{id}}", self._start),
            web.get(instance, self._status),
            web.delete(instance, self._purge),
            web.post(f"{instance}/terminate", self._terminate),
            web.route("*", f"{PREFIX}/{{rest:.*}}", _not_served),
        ]

    async def _start(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        instance_id = request.match_info.get("id") or uuid4().hex
        if name.lower() not in self._worker.orchestrators:
            known = ", ".join(sorted(self._worker.orchestrators)) or "none"
            return _refusal(
                400,
                f"The function '{name}' doesn't exist, is disabled, or is not an orchestrator function. "
                f"Additional info: the following are the known orchestrator functions: {known}",
            )
        if instance_id.startswith("@") or any(char in "/\\#?" or ord(char) < 32 for char in instance_id):
            return _refusal(400, f"Invalid instance id '{instance_id}': no leading '@', no '/', '\\', '#' or '?'")
        text = await request.text()
        try:
            self._worker.start(name, instance_id, json.loads(text) if text else None)
        except ValueError as error:
            return _refusal(400, f"The input is not JSON: {error}")
        except InstanceExistsError as error:
            return _refusal(500, str(error), "DurableTask.Core.Exceptions.OrchestrationAlreadyExistsException")
        urls = management_urls(self._base_url, instance_id, self._task_hub)
        headers = {"Location": urls["statusQueryGetUri"], "Retry-After": "10"}
        return web.json_response(urls, status=202, headers=headers)

    async def _status(self, request: web.Request) -> web.Response:
        if any(_flag(request, name) for name in _NOT_SERVED_FLAGS):
            return await _not_served(request)
        instance = self._instance(request)
        if instance is None:
            return web.Response(status=404)
        body = _status_body(instance, show_input=_flag(request, "showInput", default=True))
        if not instance.is_live:
            return web.json_response(body)
        urls = management_urls(self._base_url, instance.id, self._task_hub)
        return web.json_response(body, status=202, headers={"Location": urls["statusQueryGetUri"], "Retry-After": "5"})

    async def _purge(self, request: web.Request) -> web.Response:
        instance = self._instance(request)
        if instance is None:
            return web.Response(status=404)
        if not self._worker.hub.purge(instance.id):
            return web.Response(status=412)
        return web.json_response({"instancesDeleted": 1})

    async def _terminate(self, request: web.Request) -> web.Response:
        instance = self._instance(request)
        if instance is None:
            return web.Response(status=404)
        if not instance.is_live:
            return web.Response(status=410)
        self._worker.terminate(instance, request.query.get("reason", ""))
        return web.Response(status=202)

    def _instance(self, request: web.Request) -> Instance | None:
        return self._worker.hub.instances.get(request.match_info["id"])


async def _not_served(request: web.Request) -> web.Response:
    what = f"{request.method} {request.path_qs.removeprefix(PREFIX)}"
    message = (
        f"The local host does not serve {what}: it starts, shows, terminates and purges one instance at a time. "
        "Use `func start` for the rest"
    )
    return _refusal(501, message, "System.NotSupportedException")


def _status_body(instance: Instance, *, show_input: bool) -> dict[str, Any]:
    return {
        "name": instance.name,
        "instanceId": instance.id,
        "runtimeStatus": instance.status,
        "input": instance.execution.input if show_input else None,
        "customStatus": instance.custom_status,
        "output": instance.output,
        "createdTime": _seconds(instance.created),
        "lastUpdatedTime": _seconds(instance.updated),
    }


def _refusal(status: int, message: str, kind: str = "System.ArgumentException") -> web.Response:
    body = {"Message": message, "ExceptionMessage": message, "ExceptionType": kind, "StackTrace": ""}
    return web.json_response(body, status=status)


def _seconds(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _flag(request: web.Request, name: str, *, default: bool = False) -> bool:
    return request.query.get(name, str(default)).lower() == "true"
