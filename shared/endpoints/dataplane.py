"""The data-plane routes: from request to answer, over the operation service."""

from dataclasses import replace

from pydantic import BaseModel

from shared.actions import routes
from shared.actions.context import ReadContext
from shared.actions.declaration import Action, Read
from shared.actions.models import Content
from shared.actions.patterns import OPERATION_ID, Accepted, Pattern
from shared.composition import Application
from shared.contracts import bodies, dataplane, headers, listing, preferences, versions
from shared.contracts.http import Request, Response
from shared.endpoints.unknown import unknown_route
from shared.engine.port import Engine
from shared.errors import RequestError
from shared.operations.ids import ID_PATTERN, is_valid_id
from shared.operations.model import Operation
from shared.operations.service import StartRequest, not_found

_ON_A_RESOURCE = (Pattern.PUT_RESOURCE, Pattern.DELETE_RESOURCE)


class DataPlane:
    """Every data-plane route as a coroutine from Request to Response; errors are raised, the border answers them."""

    def __init__(self, application: Application) -> None:
        self._app = application

    async def start(self, request: Request, action: Action, engine: Engine) -> Response:
        """Start an action: every check first, then the first answer of its pattern."""
        version = self._version(request)
        owner = self._owner(request)
        self._check_route_ids(request, action.route)
        input = self._input(request, action)
        input_json = bodies.canonical_json(input)
        first = _FirstAnswer(action, input)
        resource = action.exclusive or (action.route if action.pattern in _ON_A_RESOURCE else "")
        start = StartRequest(
            action=action,
            input=input,
            input_json=input_json,
            owner=owner,
            method=request.method,
            path=routes.expand(action.route, request.route),
            api_version=version,
            fingerprint=bodies.fingerprint(action.name, request.method, input_json),
            operation_id=_chosen_id(request, action),
            resource=routes.expand(resource, request.route),
            exclusive=action.exclusive is not None,
            start_status=201 if action.pattern is Pattern.PUT_OPERATION else 202,
            facts=dataplane.facts_of(action.pattern),
            decide_status=first.decide if action.pattern is Pattern.PUT_RESOURCE else None,
        )
        base = self._base(request)
        started = await self._app.service.begin(start, engine)
        seconds = preferences.wait_seconds(request, limit=self._app.settings.max_wait_seconds)
        operation = await self._app.service.wait(started.operation, seconds) if seconds else started.operation
        content = await self._app.service.result_content(operation)
        if action.pattern is Pattern.PUT_RESOURCE:
            resource_json = content or await first.resource_json()
            response = dataplane.resource_response(operation, resource_json, base=base, api_version=version)
        else:
            response = dataplane.started_response(
                operation,
                content,
                base=base,
                api_version=version,
                replayed=started.replayed,
                parameters=input_json if action.pattern is Pattern.PUT_OPERATION else None,
            )
        return replace(response, headers={**response.headers, **preferences.applied(seconds)})

    def _input(self, request: Request, action: Action) -> BaseModel | None:
        if action.pattern is Pattern.DELETE_RESOURCE:
            bodies.refuse_body(request)
            return bodies.parse_input(action.input_model, request.route, {})
        body = bodies.read_json_object(request, limit=self._app.settings.max_body_bytes)
        # The id in a PUT of an operation is the operation's, not the input's.
        own = OPERATION_ID if action.pattern is Pattern.PUT_OPERATION else None
        route = {name: value for name, value in request.route.items() if name != own}
        return bodies.parse_input(action.input_model, route, body)

    async def read(self, request: Request, read: Read) -> Response:
        """`GET` of a resource, answered by the declared read."""
        context = ReadContext(
            owner=self._owner(request), base_url=self._base(request), api_version=self._version(request)
        )
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

    async def status(self, request: Request) -> Response:
        """`GET status/{operation_id}`."""
        self._version(request)
        operation = await self._app.service.get(self._owner(request), self._operation_id(request))
        return await self._monitor(operation)

    async def result(self, request: Request) -> Response:
        """`GET status/{operation_id}/result`."""
        self._version(request)
        operation, content = await self._app.service.result(self._owner(request), self._operation_id(request))
        return dataplane.result_response(operation, content)

    async def cancel(self, request: Request) -> Response:
        """`POST status/{operation_id}:cancel`: 200 with the monitor (Considerations, "Controlling a LRO")."""
        self._version(request)
        operation = await self._app.service.cancel(
            self._owner(request), self._operation_id(request, "status/{operation_id}:cancel")
        )
        return await self._monitor(operation)

    async def delete(self, request: Request) -> Response:
        """`DELETE status/{operation_id}`: forget a finished operation."""
        self._version(request)
        await self._app.service.delete(self._owner(request), self._operation_id(request))
        return Response(status=204)

    async def list(self, request: Request) -> Response:
        """`GET status`: the caller's operations, newest first."""
        version = self._version(request)
        owner = self._owner(request)
        wanted = listing.parse_list(request)
        page = await self._app.service.list(owner, position=wanted.position, limit=wanted.top, matches=wanted.matches)
        link = None
        if page.position is not None:
            link = dataplane.next_link(
                self._base(request), position=page.position, filter=wanted.filter, top=wanted.top, api_version=version
            )
        return dataplane.list_response(page.rows, next_link=link)

    async def own_status(self, request: Request, action: Action) -> Response:
        """`GET` where an operation was put: the monitor, with the parameters of the request."""
        self._version(request)
        operation, parameters = await self._app.service.get_with_input(
            self._owner(request), self._operation_id(request, action.route)
        )
        _check_is_at(operation, routes.expand(action.route, request.route), request)
        content = await self._app.service.result_content(operation)
        return dataplane.monitor_response(operation, content, parameters=parameters)

    async def own_cancel(self, request: Request, action: Action) -> Response:
        """`POST {operation}:cancel`, with the monitor as `GET` has it."""
        self._version(request)
        await self._own(request, action, f"{action.route}:cancel")
        await self._app.service.cancel(self._owner(request), request.route[OPERATION_ID])
        return await self.own_status(request, action)

    async def own_delete(self, request: Request, action: Action) -> Response:
        """`DELETE` where an operation was put: forget a finished one."""
        self._version(request)
        await self._own(request, action, action.route)
        await self._app.service.delete(self._owner(request), request.route[OPERATION_ID])
        return Response(status=204)

    async def of_resource(self, request: Request, resource: str) -> Response:
        """`GET {resource}/operations/{operation_id}`: the monitor, of an operation on that resource only."""
        self._version(request)
        operation_id = request.route[OPERATION_ID]
        if not all(is_valid_id(value) for value in request.route.values()):
            raise not_found(operation_id)
        operation = await self._app.service.get(self._owner(request), operation_id)
        if operation.resource != routes.expand(resource, request.route):
            raise not_found(operation_id)
        return await self._monitor(operation)

    async def _own(self, request: Request, action: Action, route: str) -> None:
        operation = await self._app.service.get(self._owner(request), self._operation_id(request, route))
        _check_is_at(operation, routes.expand(action.route, request.route), request)

    async def _monitor(self, operation: Operation) -> Response:
        return dataplane.monitor_response(operation, await self._app.service.result_content(operation))

    def _version(self, request: Request) -> str:
        return versions.api_version(request, required=self._app.settings.api_version_required)

    def _owner(self, request: Request) -> str:
        return headers.owner(request, self._app.settings)

    def _base(self, request: Request) -> str:
        return headers.base_url(request, self._app.settings)

    def _operation_id(self, request: Request, route: str = "status/{operation_id}") -> str:
        operation_id = request.route["operation_id"]
        if not is_valid_id(operation_id):
            raise self._if_unknown(request, route) or not_found(operation_id)
        return operation_id

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
        error = unknown_route(self._app.endpoints, request)
        return None if error.status == 405 and request.method in error.headers["Allow"].split(", ") else error


class _FirstAnswer:
    """What the `accepted` hook of a PUT says: asked when the operation is new, and again for a replay."""

    def __init__(self, action: Action, input: BaseModel | None) -> None:
        self._action = action
        self._input = input
        self._accepted: Accepted | None = None

    async def decide(self) -> int:
        self._accepted = await self._action.accept(self._input)
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
    """Raises 404 for an operation that was started elsewhere, whatever its id."""
    if dataplane.pattern_of(operation) is not Pattern.PUT_OPERATION or operation.path != path:
        raise not_found(request.route[OPERATION_ID])
