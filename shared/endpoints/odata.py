"""The OData routes: one way in for every request below the service root, alone or inside a batch."""

import time

from shared.actions.odata import ODataService
from shared.composition import Application
from shared.contracts import headers
from shared.contracts.http import Request, Response, json_response
from shared.contracts.odata import media
from shared.contracts.odata.csdl_json import metadata_json
from shared.contracts.odata.csdl_xml import metadata_xml
from shared.contracts.odata.service_document import service_document
from shared.contracts.odata.targets import Kind, Target, resolve
from shared.endpoints import odata_border
from shared.endpoints.odata_answers import json_answer
from shared.endpoints.odata_batch import Batches
from shared.endpoints.odata_caller import Caller
from shared.endpoints.odata_calls import Calls
from shared.endpoints.odata_entities import Entities
from shared.endpoints.odata_monitors import Monitors
from shared.engine.port import Engine
from shared.errors import RequestError


class OData:
    """The service of an application."""

    def __init__(self, application: Application, service: ODataService) -> None:
        self._app = application
        self._service = service
        self._calls = Calls(application)
        self._monitors = Monitors(application, self._calls)
        self.batches = Batches(application, service, self._serve, self._calls)

    async def answer(self, request: Request, engine: Engine | None = None) -> Response:
        """The answer to a request of the host; `engine` starts what is asked for asynchronously."""
        return await odata_border.answer(request, lambda request: self._answer(request, engine))

    async def _serve(self, request: Request, caller: Caller, *, in_batch: bool = True) -> Response:
        """The answer to one request, of the host or out of a batch. Raises RequestError."""
        media.odata_version(request)
        target = resolve(self._service, request.path)
        if request.method not in target.allow:
            allow = ", ".join(target.allow)
            message = f"{request.method} is not possible here; possible: {allow}."
            raise RequestError(405, "MethodNotAllowed", message, headers={"Allow": allow})
        match target.kind:
            case Kind.BATCH if in_batch:
                raise RequestError(400, "InvalidBatch", "A batch holds no other.")
            case Kind.BATCH:
                return await self.batches.answer(request, caller)
            case Kind.SERVICE:
                return self._service_document(request, caller)
            case Kind.METADATA:
                return self._metadata(request)
            case Kind.SET | Kind.COUNT | Kind.ENTITY:
                return await self._entities.serve(request, target, caller)
            case Kind.CALL:
                return await self._calls.serve(request, target, caller)
            case _:
                return await self._monitor(request, target, caller)

    @property
    def _entities(self) -> Entities:
        return Entities(max_body_bytes=self._app.settings.max_body_bytes)

    async def _answer(self, request: Request, engine: Engine | None) -> Response:
        settings = self._app.settings
        caller = Caller(
            owner=headers.owner(request, settings),
            base=headers.base_url(request, settings),
            engine=engine,
            until=time.monotonic() + settings.sync_timeout_seconds,
            longest=settings.sync_timeout_seconds,
        )
        return await self._serve(request, caller, in_batch=False)

    async def _monitor(self, request: Request, target: Target, caller: Caller) -> Response:
        if target.kind is Kind.CANCELLATION:
            return await self._monitors.cancellation(request, target.operation_id, caller)
        if request.method == "DELETE":
            return await self._monitors.delete(target.operation_id, caller)
        return await self._monitors.get(request, target.operation_id, caller)

    def _service_document(self, request: Request, caller: Caller) -> Response:
        representation = media.json_representation(request, request.query)
        body = service_document(self._service, base=caller.base, representation=representation)
        return json_answer(200, body, representation)

    def _metadata(self, request: Request) -> Response:
        version = media.odata_version(request)
        if media.metadata_format(request, request.query) == "json":
            return json_response(200, metadata_json(self._service, version))
        body = metadata_xml(self._service, version)
        return Response(status=200, body=body, content_type="application/xml")
