"""The task hub's HTTP API, as the SDK's durable client and outside callers use it.

Source: "HTTP API reference" of Durable Functions; what the client sends and expects is
`azure/durable_functions/models/DurableOrchestrationClient.py`. Bodies of the SDK are JSON strings that hold JSON, and
are kept that way: an orchestrator sees its input and events as the real host hands them on.
"""

import json
from collections.abc import Awaitable, Callable, Collection
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import durabletask.internal.orchestrator_service_pb2 as pb
from aiohttp import web
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.wrappers_pb2 import StringValue

from local_host.durable.backend import LIVE, InstanceExistsError, TaskHub
from local_host.durable.binding import PREFIX, management_urls
from local_host.durable.history import shown_events

_STATUS_NAMES: dict[int, str] = {
    pb.ORCHESTRATION_STATUS_RUNNING: "Running",
    pb.ORCHESTRATION_STATUS_COMPLETED: "Completed",
    pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW: "ContinuedAsNew",
    pb.ORCHESTRATION_STATUS_FAILED: "Failed",
    pb.ORCHESTRATION_STATUS_CANCELED: "Canceled",
    pb.ORCHESTRATION_STATUS_TERMINATED: "Terminated",
    pb.ORCHESTRATION_STATUS_PENDING: "Pending",
    pb.ORCHESTRATION_STATUS_SUSPENDED: "Suspended",
}
_STATUS_VALUES = {name.lower(): value for value, name in _STATUS_NAMES.items()}
_ALL = 2**31 - 1


class DurableApi:
    """Handlers over one task hub. `names`: the orchestrators that exist, lower case."""

    def __init__(self, hub: TaskHub, names: Collection[str], base_url: str, task_hub: str) -> None:
        self._hub = hub
        self._names = names
        self._base_url = base_url
        self._task_hub = task_hub

    def routes(self) -> list[web.RouteDef]:
        """To be served before any function's route."""
        instance = f"{PREFIX}/instances/{{id}}"
        return [
            web.post(f"{PREFIX}/orchestrators/{{name}}", self._start),
            web.post(f"{PREFIX}/orchestrators/{{name}}/{{id}}", self._start),
            web.get(f"{PREFIX}/instances/", self._list),
            web.get(f"{PREFIX}/instances", self._list),
            web.delete(f"{PREFIX}/instances/", self._purge_many),
            web.get(instance, self._status),
            web.delete(instance, self._purge),
            web.post(f"{instance}/raiseEvent/{{name}}", self._live(self._raise_event)),
            web.post(f"{instance}/terminate", self._live(self._terminate)),
            web.post(f"{instance}/suspend", self._live(self._suspend)),
            web.post(f"{instance}/resume", self._live(self._resume)),
            web.post(f"{instance}/restart", self._restart),
            web.post(f"{instance}/rewind", _not_here),
            web.route("*", f"{PREFIX}/entities/{{rest:.*}}", _not_here),
        ]

    async def _start(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        instance_id = request.match_info.get("id") or uuid4().hex
        if name.lower() not in self._names:
            known = ", ".join(sorted(self._names)) or "none"
            return _refusal(
                400,
                f"The function '{name}' doesn't exist, is disabled, or is not an orchestrator function. "
                f"Additional info: the following are the known orchestrator functions: {known}",
            )
        if instance_id.startswith("@") or any(char in "/\\#?" or ord(char) < 32 for char in instance_id):
            return _refusal(400, f"Invalid instance id '{instance_id}': no leading '@', no '/', '\\', '#' or '?'")
        try:
            payload = _json_text(await request.text())
        except ValueError as error:
            return _refusal(400, f"The input is not JSON: {error}")
        try:
            self._hub.create(name, instance_id, payload, request.query.get("version"))
        except InstanceExistsError as error:
            return _refusal(500, str(error), "DurableTask.Core.Exceptions.OrchestrationAlreadyExistsException")
        return self._check_status(instance_id)

    def _check_status(self, instance_id: str) -> web.Response:
        urls = management_urls(self._base_url, instance_id, self._task_hub)
        headers = {"Location": urls["statusQueryGetUri"], "Retry-After": "10"}
        return web.json_response(urls, status=202, headers=headers)

    async def _status(self, request: web.Request) -> web.Response:
        state = self._hub.state(request.match_info["id"])
        if state is None:
            return web.Response(status=404)
        body = _status_body(state, show_input=_flag(request, "showInput", default=True))
        if _flag(request, "showHistory"):
            outputs = _flag(request, "showHistoryOutput")
            body["historyEvents"] = shown_events(self._hub.history(state.instanceId), outputs=outputs)
        if state.orchestrationStatus in LIVE:
            urls = management_urls(self._base_url, state.instanceId, self._task_hub)
            headers = {"Location": urls["statusQueryGetUri"], "Retry-After": "5"}
            return web.json_response(body, status=202, headers=headers)
        failed = state.orchestrationStatus == pb.ORCHESTRATION_STATUS_FAILED
        as_error = failed and _flag(request, "returnInternalServerErrorOnFailure")
        return web.json_response(body, status=500 if as_error else 200)

    async def _list(self, request: web.Request) -> web.Response:
        try:
            query = pb.InstanceQuery(
                runtimeStatus=_statuses(request),
                createdTimeFrom=_time(request, "createdTimeFrom"),
                createdTimeTo=_time(request, "createdTimeTo"),
                maxInstanceCount=int(request.query.get("top") or _ALL),
                fetchInputsAndOutputs=True,
            )
        except ValueError as error:
            return _refusal(400, str(error))
        if request.query.get("instanceIdPrefix"):
            query.instanceIdPrefix.CopyFrom(StringValue(value=request.query["instanceIdPrefix"]))
        if request.headers.get("x-ms-continuation-token"):
            query.continuationToken.CopyFrom(StringValue(value=request.headers["x-ms-continuation-token"]))
        states, token = self._hub.query(query)
        show_input = _flag(request, "showInput", default=True)
        headers = {"x-ms-continuation-token": token} if token else {}
        return web.json_response([_status_body(state, show_input=show_input) for state in states], headers=headers)

    async def _purge(self, request: web.Request) -> web.Response:
        deleted = self._hub.purge(pb.PurgeInstancesRequest(instanceId=request.match_info["id"]))
        return web.json_response({"instancesDeleted": deleted}) if deleted else web.Response(status=404)

    async def _purge_many(self, request: web.Request) -> web.Response:
        try:
            chosen = pb.PurgeInstanceFilter(
                createdTimeFrom=_time(request, "createdTimeFrom"),
                createdTimeTo=_time(request, "createdTimeTo"),
                runtimeStatus=_statuses(request),
            )
        except ValueError as error:
            return _refusal(400, str(error))
        if not chosen.HasField("createdTimeFrom"):
            return _refusal(400, "createdTimeFrom is required")
        deleted = self._hub.purge(pb.PurgeInstancesRequest(purgeInstanceFilter=chosen))
        return web.json_response({"instancesDeleted": deleted}) if deleted else web.Response(status=404)

    async def _raise_event(self, request: web.Request) -> web.Response:
        try:
            payload = _json_text(await request.text())
        except ValueError:
            return _refusal(400, "Only application/json request content is supported")
        self._hub.raise_event(request.match_info["id"], request.match_info["name"], payload)
        return web.Response(status=202)

    async def _terminate(self, request: web.Request) -> web.Response:
        self._hub.terminate(request.match_info["id"], request.query.get("reason", ""))
        return web.Response(status=202)

    async def _suspend(self, request: web.Request) -> web.Response:
        self._hub.suspend(request.match_info["id"], request.query.get("reason", ""))
        return web.Response(status=202)

    async def _resume(self, request: web.Request) -> web.Response:
        self._hub.resume(request.match_info["id"], request.query.get("reason", ""))
        return web.Response(status=202)

    async def _restart(self, request: web.Request) -> web.Response:
        state = self._hub.state(request.match_info["id"])
        if state is None:
            return _refusal(400, f"An instance with id '{request.match_info['id']}' was not found")
        new = _flag(request, "restartWithNewInstanceId", default=True)
        instance_id = uuid4().hex if new else state.instanceId
        try:
            self._hub.create(state.name, instance_id, state.input.value or None)
        except InstanceExistsError as error:
            return _refusal(500, str(error), "DurableTask.Core.Exceptions.OrchestrationAlreadyExistsException")
        return self._check_status(instance_id)

    def _live(
        self, handler: Callable[[web.Request], Awaitable[web.Response]]
    ) -> Callable[..., Awaitable[web.Response]]:
        """404 without the instance, 410 once it has finished."""

        async def guarded(request: web.Request) -> web.Response:
            state = self._hub.state(request.match_info["id"])
            if state is None:
                return web.Response(status=404)
            if state.orchestrationStatus not in LIVE:
                return web.Response(status=410)
            return await handler(request)

        return guarded


async def _not_here(_: web.Request) -> web.Response:
    return _refusal(
        501, "The local host supports neither entities nor rewind; use `func start`", "NotSupportedException"
    )


def _status_body(state: pb.OrchestrationState, *, show_input: bool) -> dict[str, Any]:
    return {
        "name": state.name,
        "instanceId": state.instanceId,
        "runtimeStatus": _STATUS_NAMES[state.orchestrationStatus],
        "input": _value(state.input) if show_input else None,
        "customStatus": _value(state.customStatus),
        "output": _value(state.output),
        "createdTime": _seconds(state.createdTimestamp),
        "lastUpdatedTime": _seconds(state.lastUpdatedTimestamp),
    }


def _refusal(status: int, message: str, kind: str = "System.ArgumentException") -> web.Response:
    body = {"Message": message, "ExceptionMessage": message, "ExceptionType": kind, "StackTrace": ""}
    return web.json_response(body, status=status)


def _json_text(text: str) -> str | None:
    """The text of a body, checked to be JSON; None for an empty one."""
    if not text:
        return None
    json.loads(text)
    return text


def _value(text: StringValue) -> Any:
    return json.loads(text.value) if text.value else None


def _seconds(moment: Timestamp) -> str:
    return moment.ToDatetime(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _flag(request: web.Request, name: str, *, default: bool = False) -> bool:
    return request.query.get(name, str(default)).lower() == "true"


def _time(request: web.Request, name: str) -> Timestamp | None:
    text = request.query.get(name)
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    stamp = Timestamp()
    stamp.FromDatetime(moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment)
    return stamp


def _statuses(request: web.Request) -> list[Any]:
    names = [name.strip().lower() for name in request.query.get("runtimeStatus", "").split(",") if name.strip()]
    unknown = [name for name in names if name not in _STATUS_VALUES]
    if unknown:
        raise ValueError(f"unknown runtimeStatus: {', '.join(unknown)}")
    return [_STATUS_VALUES[name] for name in names]
