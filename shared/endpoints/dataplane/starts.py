"""Starts of the data plane: an action by its request, or once more what an operation was started to do."""

import logging
from collections.abc import Mapping
from datetime import datetime

from pydantic import BaseModel

from shared.actions import routes
from shared.actions.context import RequestContext, Services
from shared.actions.declaration import Action
from shared.actions.patterns import OPERATION_ID, Accepted, Pattern
from shared.contracts import bodies, preferences
from shared.contracts.caller import Caller
from shared.contracts.dataplane import answers as dataplane
from shared.contracts.headers import condition, paced
from shared.contracts.http import Request, Response
from shared.contracts.labels import labels
from shared.contracts.scheduling import not_before
from shared.endpoints.dataplane import retrying
from shared.endpoints.results import with_result
from shared.engine.port import Engine
from shared.errors import RequestError
from shared.frozen import frozen, replace
from shared.model.ids import ID_PATTERN, is_valid_id
from shared.model.operation import Operation
from shared.operations.locks import ResourceLocked
from shared.operations.log_lines import about
from shared.operations.off_loop import off_loop
from shared.operations.service import OperationService, Started, StartRequest, not_found

_log = logging.getLogger(__name__)

_ON_A_RESOURCE = (Pattern.PUT_RESOURCE, Pattern.DELETE_RESOURCE)


class Starts:
    """From a request to a recorded operation, and to the first answer."""

    def __init__(self, service: OperationService, services: Services, actions: Mapping[str, Action]) -> None:
        """`actions` are those that can be run again."""
        self._service = service
        self._services = services
        self._settings = services.settings
        self._actions = actions

    async def start(self, request: Request, action: Action, caller: Caller, engine: Engine) -> Response:
        """As the request says it. Its route was checked."""
        context = caller.context(self._services)
        due = not_before(request.headers)
        input, input_json, fingerprint = await off_loop(len(request.body), self._read_start, request, action, due)
        first = _FirstAnswer(action, context, input)
        resource = action.exclusive or (action.route if action.pattern in _ON_A_RESOURCE else "")
        start = StartRequest(
            action=action,
            context=context,
            input=input,
            input_json=input_json,
            owner=caller.owner,
            method=request.method,
            path=routes.expand(action.route, request.route),
            api_version=caller.api_version,
            fingerprint=fingerprint,
            operation_id=_chosen_id(request, action),
            resource=routes.expand(resource, request.route),
            exclusive=action.exclusive is not None,
            start_status=201 if action.pattern is Pattern.PUT_OPERATION else 202,
            profile_state=dataplane.profile_state_of(action.pattern) | condition(request.headers),
            labels=labels(request.headers),
            not_before=due,
            decide_status=first.decide if action.pattern is Pattern.PUT_RESOURCE else None,
            is_repeatable=action.pattern in _ON_A_RESOURCE,
        )
        started = await self._begin(start, caller, engine)
        return await self._answer(request, caller, _Begun(start, started, first), engine)

    async def again(
        self, request: Request, seen: Operation, content: bytes | None, caller: Caller, engine: Engine
    ) -> Response:
        """A new operation of the same owner; `content` is what the old one was started with.

        Raises RequestError 409 for what is not run again, and as any start does.
        """
        action = retrying.action_of(seen, self._actions)
        if content is None:
            raise not_found(seen.id)
        start = retrying.start_request(
            seen,
            action,
            content,
            context=replace(caller, owner=seen.owner).context(self._services),
            operation_id=_chosen_id(request, action),
        )
        started = await self._begin(start, caller, engine)
        who = caller.owner or "a caller with a key"
        line = about(_log, started.operation, "operation_retried")
        line.info("It does operation %s again (%s)", seen.id, who, extra={"retry_of": seen.id, "operator": who})
        first = _FirstAnswer(action, start.context, start.input)
        return await self._answer(request, caller, _Begun(start, started, first), engine)

    async def _answer(self, request: Request, caller: Caller, begun: "_Begun", engine: Engine) -> Response:
        """The first answer, once the operation has ended or the caller has waited as long as he wanted."""
        seconds = preferences.wait_seconds(request, limit=self._settings.max_wait_seconds)
        operation, pattern = begun.started.operation, begun.start.action.pattern
        if seconds:
            operation = await self._service.wait(operation, seconds, engine)
        location = _monitor_url(operation, caller)
        if pattern is Pattern.PUT_RESOURCE:
            resource_json = await self._service.result_content(operation) or await begun.first.resource_json()
            response = dataplane.resource_response(operation, resource_json, location=location)
        else:
            action, is_echoed = begun.start.action, pattern is Pattern.PUT_OPERATION
            parameters = action.shown_input(begun.start.input_json, action.input_version) if is_echoed else None
            response = await off_loop(
                len(parameters or b""),
                dataplane.started_response,
                operation,
                location=location,
                result_url=result_url(operation, caller),
                replayed=begun.started.replayed,
                parameters=parameters,
            )
            if dataplane.carries_result(operation):
                response = await with_result(self._service, operation, response, "result")
        response = paced(response, self._service.pacing.first_poll(operation))
        applied = preferences.applied(seconds)
        return replace(response, headers={**response.headers, **applied}) if applied else response

    async def _begin(self, start: StartRequest, caller: Caller, engine: Engine) -> Started:
        """As the service does it; a refusal names the operation that holds the resource to who may see it."""
        try:
            return await self._service.begin(start, engine)
        except ResourceLocked as error:
            holder = error.holder
            if holder is None or not (holder.owner == caller.owner or caller.may_read_all):
                raise
            raise error.naming(_monitor_url(holder, caller)) from None

    def _read_start(
        self, request: Request, action: Action, due: datetime | None
    ) -> tuple[BaseModel | None, bytes, str]:
        """The input, as it is stored, and the fingerprint of the start."""
        input = self._input(request, action)
        input_json = bodies.canonical_json(input)
        return input, input_json, bodies.fingerprint(action.name, request.method, input_json, due)

    def _input(self, request: Request, action: Action) -> BaseModel | None:
        if action.pattern is Pattern.DELETE_RESOURCE:
            bodies.refuse_body(request)
            return bodies.parse_input(action.input_model, request.route, {})
        body = bodies.read_json_object(request, limit=self._settings.max_body_bytes)
        # The id in a PUT of an operation is the operation's, not the input's.
        own = OPERATION_ID if action.pattern is Pattern.PUT_OPERATION else None
        route = {name: value for name, value in request.route.items() if name != own}
        return bodies.parse_input(action.input_model, route, body)


class _FirstAnswer:
    """What the `accepted` hook of a PUT says: asked when the operation is new, and again for a replay."""

    def __init__(self, action: Action, context: RequestContext, input: BaseModel | None) -> None:
        self._action = action
        self._context = context
        self._input = input
        self._accepted: Accepted | None = None

    async def decide(self) -> int:
        self._accepted = await self._action.accept(self._context, self._input)
        return 201 if self._accepted.created else 200

    async def resource_json(self) -> bytes:
        if self._accepted is None:
            await self.decide()
        assert self._accepted is not None
        assert self._action.output is not None, "a PUT of a resource returns it"
        return self._action.output.dump_json(
            self._action.output.validate_python(self._accepted.resource), by_alias=True
        )


@frozen
class _Begun:
    start: StartRequest
    started: Started
    first: _FirstAnswer


def _monitor_url(operation: Operation, caller: Caller) -> str:
    url = dataplane.monitor_url if operation.owner == caller.owner else dataplane.operator_url
    return url(caller.base_url, operation, caller.api_version)


def result_url(operation: Operation, caller: Caller) -> str:
    """Where the caller finds the bare result; empty where the monitor carries it."""
    if not operation.links_result:
        return ""
    is_others = operation.owner != caller.owner
    return dataplane.result_url(caller.base_url, operation, caller.api_version, owner=is_others)


def _chosen_id(request: Request, action: Action) -> str | None:
    """The caller's own id: from the header, or from the path where that holds it.

    Raises RequestError 400 where it cannot be one, and where path and header contradict each other.
    """
    operation_id = request.headers.get("operation-id")
    if operation_id is not None and not is_valid_id(operation_id):
        raise RequestError(400, "InvalidOperationId", f"Operation-Id must match {ID_PATTERN}.", target="Operation-Id")
    if action.pattern is not Pattern.PUT_OPERATION:
        return operation_id
    if operation_id is not None and operation_id != request.route[OPERATION_ID]:
        message = "The URL names the operation; leave the header Operation-Id out."
        raise RequestError(400, "OperationIdMismatch", message, target="Operation-Id")
    return request.route[OPERATION_ID]
