"""The data-plane routes: from request to answer, over the operation service."""

from collections.abc import Mapping, Sequence

from shared.actions import routes
from shared.actions.context import Services
from shared.actions.declaration import Action, Read
from shared.actions.models import Content
from shared.actions.patterns import OPERATION_ID, Pattern
from shared.actions.routes import Endpoint
from shared.contracts import bodies
from shared.contracts.caller import Caller, dataplane_caller
from shared.contracts.dataplane import answers as dataplane
from shared.contracts.dataplane import listing
from shared.contracts.functions import STATUS, STATUS_CANCEL, STATUS_RETRY
from shared.contracts.headers import paced
from shared.contracts.http import Request, Response
from shared.endpoints.caching import ShownMonitors, once_ended
from shared.endpoints.dataplane.operators import CANCEL, DELETE, READ, READ_RESULT, RETRY, Operators
from shared.endpoints.dataplane.starts import Starts, result_url
from shared.endpoints.results import with_result
from shared.endpoints.unknown import unknown_route
from shared.engine.port import Engine
from shared.errors import RequestError
from shared.frozen import replace
from shared.model.ids import ID_PATTERN, is_valid_id
from shared.model.operation import Operation
from shared.operations.lists import OperationLists
from shared.operations.off_loop import off_loop
from shared.operations.service import OperationService, not_found


class DataPlane:
    """Every data-plane route as a coroutine from Request to Response; errors are raised, the boundary answers them."""

    def __init__(
        self,
        service: OperationService,
        lists: OperationLists,
        services: Services,
        endpoints: Sequence[Endpoint],
        actions: Mapping[str, Action],
    ) -> None:
        """`actions` are those that can be run again; `endpoints` are all of the app's: they tell what a path means that
        fits two routes.
        """
        self._service = service
        self._lists = lists
        self._services = services
        self._settings = services.settings
        self._endpoints = endpoints
        self._starts = Starts(service, services, actions)
        self._operators = Operators(service)
        self._shown_monitors = ShownMonitors()

    async def start(self, request: Request, action: Action, engine: Engine) -> Response:
        """Start an action: every check first, then the first answer of its pattern."""
        caller = self._caller(request)
        self._check_route_ids(request, action.route)
        return await self._starts.start(request, action, caller, engine)

    async def retry(self, request: Request, engine: Engine) -> Response:
        """`POST status/{operation_id}:retry`: 202 with the monitor of a new operation that does the same again."""
        named = await self._named(request, STATUS_RETRY.route, act=RETRY)
        operation, content = await self._service.get_with_input(*named)
        return await self._starts.again(request, operation, content, self._caller(request), engine)

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
        return await self._monitor(request, await self._service.poll(*await self._named(request), engine))

    async def result(self, request: Request, engine: Engine) -> Response:
        """`GET status/{operation_id}/result`."""
        operation, content = await self._service.result(*await self._named(request, act=READ_RESULT), engine)
        return dataplane.result_response(operation, content)

    async def cancel(self, request: Request) -> Response:
        """`POST status/{operation_id}:cancel`: 200 with the monitor (Considerations, "Controlling a LRO")."""
        named = await self._named(request, STATUS_CANCEL.route, act=CANCEL)
        return await self._monitor(request, await self._service.cancel(*named))

    async def delete(self, request: Request, engine: Engine) -> Response:
        """`DELETE status/{operation_id}`: forget a finished operation."""
        await self._service.delete(*await self._named(request, act=DELETE), engine)
        return Response(status=204)

    async def list(self, request: Request) -> Response:
        """`GET status`: the caller's operations, newest first; an operator's list may be of others."""
        caller = self._caller(request)
        owner_hash, named = self._operators.listed(request, caller)
        asked = listing.parse_list(request, owner=named, for_all=owner_hash is None)
        page = await self._lists.page(
            owner_hash,
            position=asked.position,
            limit=asked.top,
            selection=asked.selection,
            oldest_first=asked.oldest_first,
        )
        count = await self._lists.count(owner_hash, asked.selection) if asked.count else None
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
        operation, parameters = await self._service.get_with_input(*self._own(request, action.route), engine)
        operation = await self._service.wait_if_young(operation, engine)
        _check_is_at(operation, routes.expand(action.route, request.route), request)
        return await self._monitor(request, operation, self._shown(action, operation, parameters))

    @staticmethod
    def _shown(action: Action, operation: Operation, input_json: bytes | None) -> bytes | None:
        """The input, as it may be shown; nothing of one that does not fit the action any more."""
        try:
            return input_json and action.shown_input(input_json, operation.input_version)
        except ValueError:
            return None

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
        operation = await self._service.get(*self._own(request, route))
        _check_is_at(operation, routes.expand(action.route, request.route), request)
        return operation

    async def _monitor(self, request: Request, operation: Operation, parameters: bytes | None = None) -> Response:
        answer = await self._shown_monitor(request, operation, parameters)
        return paced(answer, self._service.pacing.next_poll(operation))

    async def _shown_monitor(self, request: Request, operation: Operation, parameters: bytes | None) -> Response:
        # What is made for this caller, or for this moment, is made anew.
        is_own = parameters is not None or operation.links_result or _is_elsewhere(operation)
        if not is_own and (shown := self._shown_monitors.get(request, operation)) is not None:
            return shown
        answer = await off_loop(
            len(parameters or b""),
            dataplane.monitor_response,
            operation,
            result_url=result_url(operation, self._caller(request)),
            parameters=parameters,
        )
        if dataplane.carries_result(operation):
            answer = await with_result(self._service, operation, answer, "result")
        if is_own:
            return await once_ended(request, operation, answer)
        return await self._shown_monitors.put(request, operation, answer)

    def _caller(self, request: Request) -> Caller:
        return dataplane_caller(request, self._settings)

    async def _named(self, request: Request, route: str = STATUS.route, *, act: str = READ) -> tuple[str, str]:
        """The owner and the id of the operation that the URL names: the caller's, or for an operator another one's."""
        caller = self._caller(request)
        operation_id = self._operation_id(request, route)
        may = caller.may_read_all if act in (READ, READ_RESULT) else caller.may_change_all
        owner = await self._operators.owner(request, caller, operation_id, act) if may else caller.owner
        return owner, operation_id

    def _own(self, request: Request, route: str) -> tuple[str, str]:
        """The caller, and the id of the operation that the path names."""
        return self._caller(request).owner, self._operation_id(request, route)

    def _operation_id(self, request: Request, route: str) -> str:
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
        error = unknown_route(self._endpoints, replace(request, root_path=self._settings.root_path))
        return None if error.status == 405 and request.method in error.headers["Allow"].split(", ") else error


def _check_is_at(operation: Operation, path: str, request: Request) -> None:
    """Raises 404 for an operation that was put at another URL, whatever its id."""
    if dataplane.pattern_of(operation) is not Pattern.PUT_OPERATION or operation.path != path:
        raise not_found(request.route[OPERATION_ID])


def _is_elsewhere(operation: Operation) -> bool:
    """Whether its result is a blob, which may be gone before the record is."""
    body = operation.outcome.body if operation.outcome else None
    return body is not None and body.blob is not None
