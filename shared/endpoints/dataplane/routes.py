"""The data-plane routes: from request to answer, over the operation service."""

from collections.abc import Sequence
from dataclasses import replace

from pydantic import BaseModel

from shared.actions import routes
from shared.actions.context import RequestContext, Services
from shared.actions.declaration import Action, Read
from shared.actions.models import Content
from shared.actions.patterns import OPERATION_ID, Accepted, Pattern
from shared.actions.routes import Endpoint
from shared.contracts import bodies, preferences
from shared.contracts.caller import Caller, dataplane_caller
from shared.contracts.dataplane import answers as dataplane
from shared.contracts.dataplane import listing
from shared.contracts.functions import STATUS, STATUS_CANCEL
from shared.contracts.headers import condition, early_poll
from shared.contracts.http import Request, Response
from shared.contracts.labels import labels
from shared.endpoints.caching import once_ended
from shared.endpoints.unknown import unknown_route
from shared.engine.port import Engine
from shared.errors import RequestError
from shared.model.ids import ID_PATTERN, is_valid_id
from shared.model.operation import Operation
from shared.operations.lists import OperationLists
from shared.operations.locks import ResourceLocked
from shared.operations.off_loop import off_loop
from shared.operations.service import OperationService, Started, StartRequest, not_found

_ON_A_RESOURCE = (Pattern.PUT_RESOURCE, Pattern.DELETE_RESOURCE)


class DataPlane:
    """Every data-plane route as a coroutine from Request to Response; errors are raised, the boundary answers them."""

    def __init__(
        self, service: OperationService, lists: OperationLists, services: Services, endpoints: Sequence[Endpoint]
    ) -> None:
        """`endpoints` are all of the app's: they tell what a path means that fits two routes."""
        self._service = service
        self._lists = lists
        self._services = services
        self._settings = services.settings
        self._endpoints = endpoints

    async def start(self, request: Request, action: Action, engine: Engine) -> Response:
        """Start an action: every check first, then the first answer of its pattern."""
        caller = self._caller(request)
        self._check_route_ids(request, action.route)
        context = caller.context(self._services)
        input, input_json, fingerprint = await off_loop(len(request.body), self._read_start, request, action)
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
            decide_status=first.decide if action.pattern is Pattern.PUT_RESOURCE else None,
            is_repeatable=action.pattern in _ON_A_RESOURCE,
        )
        started = await self._begin(start, caller, engine)
        seconds = preferences.wait_seconds(request, limit=self._settings.max_wait_seconds)
        operation = await self._service.wait(started.operation, seconds, engine) if seconds else started.operation
        content = await self._service.result_content(operation)
        if action.pattern is Pattern.PUT_RESOURCE:
            resource_json = content or await first.resource_json()
            response = dataplane.resource_response(
                operation, resource_json, base=caller.base_url, api_version=caller.api_version
            )
        else:
            parameters = input_json if action.pattern is Pattern.PUT_OPERATION else None
            response = await off_loop(
                len(parameters or b""),
                dataplane.started_response,
                operation,
                content,
                base=caller.base_url,
                api_version=caller.api_version,
                replayed=started.replayed,
                parameters=parameters,
            )
        soon = early_poll(self._service.first_poll(operation))
        return replace(response, headers={**response.headers, **soon, **preferences.applied(seconds)})

    async def _begin(self, start: StartRequest, caller: Caller, engine: Engine) -> Started:
        """As the service does it; a refusal names the operation that holds the resource, if the caller may see it."""
        try:
            return await self._service.begin(start, engine)
        except ResourceLocked as error:
            if error.holder is None or error.holder.owner != caller.owner:
                raise
            raise error.naming(dataplane.monitor_url(caller.base_url, error.holder, caller.api_version)) from None

    def _read_start(self, request: Request, action: Action) -> tuple[BaseModel | None, bytes, str]:
        """The input, as it is stored, and the fingerprint of the start."""
        input = self._input(request, action)
        input_json = bodies.canonical_json(input)
        return input, input_json, bodies.fingerprint(action.name, request.method, input_json)

    def _input(self, request: Request, action: Action) -> BaseModel | None:
        if action.pattern is Pattern.DELETE_RESOURCE:
            bodies.refuse_body(request)
            return bodies.parse_input(action.input_model, request.route, {})
        body = bodies.read_json_object(request, limit=self._settings.max_body_bytes)
        # The id in a PUT of an operation is the operation's, not the input's.
        own = OPERATION_ID if action.pattern is Pattern.PUT_OPERATION else None
        route = {name: value for name, value in request.route.items() if name != own}
        return bodies.parse_input(action.input_model, route, body)

    async def read(self, request: Request, read: Read) -> Response:
        """`GET` of a resource, answered by the declared read."""
        context = self._caller(request).context(self._services)
        self._check_route_ids(request, read.route)
        query = {k: v for k, v in request.query.items() if k.lower() not in ("api-version", "code", "clientid")}
        if read.input_model is None and query:
            name = next(iter(query))
            raise RequestError(400, "UnknownQueryParameter", f"There is no query parameter {name!r}.", target=name)
        input = bodies.parse_query(read.input_model, request.route, query) if read.input_model else None
        value = await (read.handler(context, input) if input is not None else read.handler(context))
        if isinstance(value, Content):
            return Response(status=200, body=value.body, content_type=value.content_type)
        content = read.output.dump_json(read.output.validate_python(value), by_alias=True)
        return Response(status=200, body=content, content_type="application/json")

    async def status(self, request: Request, engine: Engine) -> Response:
        """`GET status/{operation_id}`."""
        return await self._monitor(request, await self._service.poll(*self._named(request), engine))

    async def result(self, request: Request, engine: Engine) -> Response:
        """`GET status/{operation_id}/result`."""
        operation, content = await self._service.result(*self._named(request), engine)
        return dataplane.result_response(operation, content)

    async def cancel(self, request: Request) -> Response:
        """`POST status/{operation_id}:cancel`: 200 with the monitor (Considerations, "Controlling a LRO")."""
        return await self._monitor(request, await self._service.cancel(*self._named(request, STATUS_CANCEL.route)))

    async def delete(self, request: Request, engine: Engine) -> Response:
        """`DELETE status/{operation_id}`: forget a finished operation."""
        await self._service.delete(*self._named(request), engine)
        return Response(status=204)

    async def list(self, request: Request) -> Response:
        """`GET status`: the caller's operations, newest first."""
        caller = self._caller(request)
        asked = listing.parse_list(request)
        page = await self._lists.page(
            caller.owner,
            position=asked.position,
            limit=asked.top,
            selection=asked.selection,
            oldest_first=asked.oldest_first,
        )
        count = await self._lists.count(caller.owner, asked.selection) if asked.count else None
        return dataplane.list_response(
            page,
            asked,
            base=caller.base_url,
            api_version=caller.api_version,
            now=self._services.clock.now(),
            count=count,
        )

    async def operation_status(self, request: Request, action: Action, engine: Engine | None) -> Response:
        """`GET` where an operation was put: the monitor, with the parameters of the request."""
        operation, parameters = await self._service.get_with_input(*self._named(request, action.route), engine)
        operation = await self._service.wait_if_young(operation, engine)
        _check_is_at(operation, routes.expand(action.route, request.route), request)
        return await self._monitor(request, operation, parameters)

    async def operation_cancel(self, request: Request, action: Action) -> Response:
        """`POST {operation}:cancel`, with the monitor as `GET` has it."""
        operation = await self._at_route(request, action, f"{action.route}:cancel")
        await self._service.cancel(operation.owner, operation.id)
        return await self.operation_status(request, action, None)

    async def operation_delete(self, request: Request, action: Action, engine: Engine) -> Response:
        """`DELETE` where an operation was put: forget a finished one."""
        operation = await self._at_route(request, action, action.route)
        await self._service.delete(operation.owner, operation.id, engine)
        return Response(status=204)

    async def of_resource(self, request: Request, resource: str, engine: Engine) -> Response:
        """`GET {resource}/operations/{operation_id}`: the monitor, of an operation on that resource only."""
        caller = self._caller(request)
        operation_id = request.route[OPERATION_ID]
        if not all(is_valid_id(value) for value in request.route.values()):
            raise not_found(operation_id)
        operation = await self._service.poll(caller.owner, operation_id, engine)
        if operation.resource != routes.expand(resource, request.route):
            raise not_found(operation_id)
        return await self._monitor(request, operation)

    async def _at_route(self, request: Request, action: Action, route: str) -> Operation:
        """The operation that was put where the request points."""
        operation = await self._service.get(*self._named(request, route))
        _check_is_at(operation, routes.expand(action.route, request.route), request)
        return operation

    async def _monitor(self, request: Request, operation: Operation, parameters: bytes | None = None) -> Response:
        content = await self._service.result_content(operation)
        size = len(parameters or b"")
        answer = await off_loop(size, dataplane.monitor_response, operation, content, parameters=parameters)
        return await once_ended(request, operation, answer)

    def _caller(self, request: Request) -> Caller:
        return dataplane_caller(request, self._settings)

    def _named(self, request: Request, route: str = STATUS.route) -> tuple[str, str]:
        """The caller, and the id of the operation that the path names."""
        owner, operation_id = self._caller(request).owner, request.route["operation_id"]
        if not is_valid_id(operation_id):
            raise self._if_unknown(request, route) or not_found(operation_id)
        return owner, operation_id

    def _check_route_ids(self, request: Request, route: str) -> None:
        for name, value in request.route.items():
            if not is_valid_id(value):
                code = "InvalidOperationId" if name == OPERATION_ID else "InvalidResourceId"
                raise self._if_unknown(request, route) or RequestError(
                    400, code, f"{name} must match {ID_PATTERN}.", target=name
                )

    def _if_unknown(self, request: Request, route: str) -> RequestError | None:
        """A route that ends in `{id}` also takes `book:verb`: the colon there means another verb or method.

        A route with a verb of its own leaves no such doubt: its id is just a bad one.
        """
        last = routes.decode_path(request.path).rpartition("/")[2]
        if ":" in route.rpartition("/")[2] or ":" not in last:
            return None
        error = unknown_route(self._endpoints, replace(request, root_path=self._settings.root_path))
        return None if error.status == 405 and request.method in error.headers["Allow"].split(", ") else error


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


def _check_is_at(operation: Operation, path: str, request: Request) -> None:
    """Raises 404 for an operation that was put at another URL, whatever its id."""
    if dataplane.pattern_of(operation) is not Pattern.PUT_OPERATION or operation.path != path:
        raise not_found(request.route[OPERATION_ID])
