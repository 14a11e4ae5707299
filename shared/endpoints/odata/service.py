"""The OData routes: one way in for every request below the service root, alone or inside a batch."""

from collections.abc import Callable
from datetime import timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING

from shared.actions.context import Services
from shared.actions.odata.service import ODataService
from shared.contracts import versions
from shared.contracts.caller import caller_of
from shared.contracts.http import Request, Response, json_response
from shared.contracts.odata import media
from shared.contracts.odata.query.names import check_once
from shared.contracts.odata.targets import Kind, Target, resolve
from shared.endpoints.admission import Admission
from shared.endpoints.odata import boundary as odata_boundary
from shared.endpoints.odata.boundary import json_answer
from shared.endpoints.odata.entities import Entities
from shared.endpoints.odata.execution import Execution
from shared.engine.port import Engine
from shared.errors import RequestError
from shared.frozen import replace
from shared.operations.after_end import AfterEnd
from shared.operations.service import OperationService

if TYPE_CHECKING:
    from shared.endpoints.odata.batch import Batches
    from shared.endpoints.odata.calls import Calls
    from shared.endpoints.odata.monitors import ODataMonitors
    from shared.operations.inline import InlineRuns


class OData:
    """The service of an application.

    What answers one kind of requests is loaded for the first of them: a query waits for nothing that it does not use.
    """

    def __init__(
        self,
        *,
        declared: ODataService,
        operations: OperationService,
        inline: "Callable[[], InlineRuns]",
        after_end: AfterEnd,
        services: Services,
        longest_attempt: timedelta | None,
        admission: Admission,
    ) -> None:
        """`longest_attempt` is for batches: see there."""
        self._service = declared
        self._admission = admission
        self._services = services
        self._operations = operations
        self._inline = inline
        self._after_end = after_end
        self._longest_attempt = longest_attempt
        self._entities = Entities(max_body_bytes=services.settings.max_body_bytes)

    @cached_property
    def batches(self) -> "Batches":
        from shared.endpoints.odata.batch import Batches  # noqa: PLC0415

        return Batches(
            declared=self._service,
            operations=self._operations,
            services=self._services,
            calls=self._calls,
            entities=self._entities,
            serve=self._serve,
            longest_attempt=self._longest_attempt,
        )

    @cached_property
    def _calls(self) -> "Calls":
        from shared.endpoints.odata.calls import Calls  # noqa: PLC0415

        return Calls(self._service, self._operations, self._inline(), self._services.settings)

    @cached_property
    def _monitors(self) -> "ODataMonitors":
        from shared.endpoints.odata.monitors import ODataMonitors  # noqa: PLC0415

        return ODataMonitors(self._operations, self._after_end, self._calls)

    async def answer(self, request: Request, engine: Engine | None = None) -> Response:
        """The answer to a request of the host; `engine` starts what is asked for asynchronously, or was lost."""
        # A batch's own requests do not come this way: they are part of one that was admitted.
        admitted = partial(self._admission.serve, endpoint=lambda request: self._answer(request, engine))
        return await odata_boundary.answer(request, admitted)

    async def _serve(self, request: Request, execution: Execution, *, in_batch: bool = True) -> Response:
        """The answer to one request, of the host or out of a batch. Raises RequestError."""
        media.odata_version(request)
        media.check_isolation(request)
        check_once(request.query_names())
        target = resolve(self._service, request.path)
        if request.method not in target.allow:
            allow = ", ".join(target.allow)
            message = f"{request.method} is not possible here; possible: {allow}."
            raise RequestError(405, "MethodNotAllowed", message, headers={"Allow": allow})
        match target.kind:
            case Kind.BATCH if in_batch:
                raise RequestError(400, "InvalidBatch", "A batch holds no other.")
            case Kind.BATCH:
                return await self.batches.answer(request, execution)
            case Kind.SERVICE:
                return self._service_document(request, execution)
            case Kind.METADATA:
                return self._metadata(request)
            case Kind.SET | Kind.COUNT | Kind.ENTITY:
                return await self._entities.serve(request, target, execution)
            case Kind.CALL:
                return await self._calls.serve(request, target, execution)
            case _:
                return await self._monitor(request, target, execution)

    async def _answer(self, request: Request, engine: Engine | None) -> Response:
        settings = self._services.settings
        request = replace(request, root_path=settings.root_path)
        # Links into the data plane carry its version; OData has none of its own in URLs.
        caller = caller_of(request, settings, api_version=versions.DEFAULT)
        execution = Execution(
            context=caller.context(self._services),
            engine=engine,
            until=self._services.clock.monotonic() + settings.sync_timeout_seconds,
            longest=settings.sync_timeout_seconds,
        )
        return await self._serve(request, execution, in_batch=False)

    async def _monitor(self, request: Request, target: Target, execution: Execution) -> Response:
        if target.kind is Kind.CANCELLATION:
            return await self._monitors.cancellation(request, target.operation_id, execution)
        if request.method == "DELETE":
            return await self._monitors.delete(target.operation_id, execution)
        return await self._monitors.get(request, target.operation_id, execution)

    def _service_document(self, request: Request, execution: Execution) -> Response:
        from shared.contracts.odata.metadata.service_document import service_document  # noqa: PLC0415

        representation = media.json_representation(request, request.query)
        body = service_document(self._service, base=execution.base, representation=representation)
        return json_answer(200, body, representation)

    def _metadata(self, request: Request) -> Response:
        version = media.odata_version(request)
        if media.metadata_format(request, request.query) == "json":
            from shared.contracts.odata.metadata.csdl_json import metadata_json  # noqa: PLC0415

            return json_response(200, metadata_json(self._service, version))
        from shared.contracts.odata.metadata.csdl_xml import metadata_xml  # noqa: PLC0415

        body = metadata_xml(self._service, version)
        return Response(status=200, body=body, content_type="application/xml")
