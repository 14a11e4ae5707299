"""The data-plane routes: from request to answer, over the operation service."""

from collections.abc import Mapping

from shared.actions import routes
from shared.actions.context import ReadContext
from shared.actions.declaration import Action, Read
from shared.composition import Application
from shared.contracts import bodies, dataplane, headers, listing, versions
from shared.contracts.http import Request, Response
from shared.endpoints.unknown import unknown_route
from shared.engine.port import Engine
from shared.errors import RequestError
from shared.operations.ids import ID_PATTERN, is_valid_id
from shared.operations.model import Operation
from shared.operations.service import StartRequest, not_found


class DataPlane:
    """Every data-plane route as a coroutine from Request to Response; errors are raised, the border answers them."""

    def __init__(self, application: Application) -> None:
        self._app = application

    async def start(self, request: Request, action: Action, engine: Engine) -> Response:
        """`POST` of an action: every check first, then 202 with the monitor."""
        version = self._version(request)
        owner = self._owner(request)
        self._check_route_ids(request, action.route)
        body = bodies.read_json_object(request, limit=self._app.settings.max_body_bytes)
        input = bodies.parse_input(action.input_model, request.route, body)
        input_json = bodies.canonical_json(input)
        start = StartRequest(
            action=action,
            input=input,
            input_json=input_json,
            owner=owner,
            method=request.method,
            path=routes.expand(action.route, request.route),
            api_version=version,
            fingerprint=bodies.fingerprint(action.name, request.method, input_json),
            operation_id=_operation_id(request.headers),
        )
        base = self._base(request)
        operation = await self._app.service.start(start, engine)
        content = await self._app.service.result_content(operation)
        return dataplane.started_response(operation, content, base=base, api_version=version)

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
                raise self._if_unknown(request, route) or RequestError(
                    400, "InvalidResourceId", f"{name} must match {ID_PATTERN}.", target=name
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


def _operation_id(headers: Mapping[str, str]) -> str | None:
    """The caller's own id; raises RequestError 400 where it cannot be one."""
    operation_id = headers.get("operation-id")
    if operation_id is not None and not is_valid_id(operation_id):
        raise RequestError(400, "InvalidOperationId", f"Operation-Id must match {ID_PATTERN}.", target="Operation-Id")
    return operation_id
