"""The OData routes: one way in for every request below the service root, alone or inside a batch."""

from dataclasses import replace
from datetime import timedelta
from functools import partial

from shared.actions.context import Services
from shared.actions.odata.service import ODataService
from shared.contracts import versions
from shared.contracts.caller import caller_of
from shared.contracts.http import Request, Response, json_response
from shared.contracts.odata import media
from shared.contracts.odata.metadata.csdl_json import metadata_json
from shared.contracts.odata.metadata.csdl_xml import metadata_xml
from shared.contracts.odata.metadata.service_document import service_document
from shared.contracts.odata.query.names import check_once
from shared.contracts.odata.targets import Kind, Target, resolve
from shared.endpoints.admission import Admission
from shared.endpoints.odata import boundary as odata_boundary
from shared.endpoints.odata.batch import Batches
from shared.endpoints.odata.boundary import json_answer
from shared.endpoints.odata.calls import Calls
from shared.endpoints.odata.entities import Entities
from shared.endpoints.odata.execution import Execution
from shared.endpoints.odata.monitors import ODataMonitors
from shared.engine.port import Engine
from shared.errors import RequestError
from shared.operations.after_end import AfterEnd
from shared.operations.inline import InlineRuns
from shared.operations.service import OperationService


class OData:
    """The service of an application."""

    def __init__(
        self,
        *,
        declared: ODataService,
        operations: OperationService,
        inline: InlineRuns,
        after_end: AfterEnd,
        services: Services,
        longest_attempt: timedelta | None,
        admission: Admission,
    ) -> None:
        """`longest_attempt` is for batches: see there."""
        self._service = declared
        self._admission = admission
        self._services = services
        self._calls = Calls(declared, operations, inline, services.settings)
        self._monitors = ODataMonitors(operations, after_end, self._calls)
        self._entities = Entities(max_body_bytes=services.settings.max_body_bytes)
        self.batches = Batches(
            declared=declared,
            operations=operations,
            services=services,
            calls=self._calls,
            entities=self._entities,
            serve=self._serve,
            longest_attempt=longest_attempt,
        )

    async def answer(self, request: Request, engine: Engine | None = None) -> Response:
        """The answer to a request of the host; `engine` starts what is asked for asynchronously, or was lost."""
        # A batch's own requests do not come this way: they are part of one that was admitted.
        admitted = partial(self._admission.serve, endpoint=lambda request: self._answer(request, engine))
        return await odata_boundary.answer(request, admitted)

    async def _serve(self, request: Request, execution: Execution, *, in_batch: bool = True) -> Response:
        """The answer to one request, of the host or out of a batch. Raises RequestError."""
        media.odata_version(request)
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
        representation = media.json_representation(request, request.query)
        body = service_document(self._service, base=execution.base, representation=representation)
        return json_answer(200, body, representation)

    def _metadata(self, request: Request) -> Response:
        version = media.odata_version(request)
        if media.metadata_format(request, request.query) == "json":
            return json_response(200, metadata_json(self._service, version))
        body = metadata_xml(self._service, version)
        return Response(status=200, body=body, content_type="application/xml")
