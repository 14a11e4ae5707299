"""Batches (OData Protocol 4.01, section 11.7): at once, or as one operation of their own.

An asynchronous batch runs in its own activity, its actions through the runner in that same activity: it never waits for
another activity, so any number of batches end. Where the activity is lost, the next attempt does again what was
done, and nothing changes twice: an action's operation has an id made of the batch's run and the request's place,
and every write carries that as its marker.
"""

import base64
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

from pydantic import Base64Bytes, BaseModel

from shared.actions.context import ActionContext
from shared.actions.odata import ROOT, ODataService
from shared.composition import Application, now
from shared.contracts import bodies
from shared.contracts.http import Request, Response
from shared.contracts.odata import batch as batches
from shared.contracts.odata import batch_results, media, monitors, references
from shared.contracts.odata.batch import Batch, BatchRequest, BatchResponse
from shared.contracts.odata.targets import Target, resolve
from shared.contracts.preferences import preferences
from shared.endpoints import odata_border
from shared.endpoints.odata_caller import Caller, too_long
from shared.endpoints.odata_calls import Calls
from shared.endpoints.odata_entities import Entities
from shared.errors import RequestError, StorageError, StorageRefused
from shared.operations.service import StartRequest

NAME = "odata:batch"
TIMEOUT = timedelta(minutes=9)
"""What an attempt at an asynchronous batch may take."""

MAX_ANSWER_BYTES = 32 * 1024 * 1024
"""All answers of a batch together: they are held in memory, and stored."""

Serve = Callable[[Request, Caller], Awaitable[Response]]

_INHERITED = ("odata-version", "odata-maxversion", "accept-language")
"""Headers of the batch that count for its requests where they say nothing themselves (section 11.7.1)."""


class BatchInput(BaseModel):
    """An asynchronous batch as stored: its body as it came, and what its start has settled."""

    content_type: str
    body: Base64Bytes
    base: str
    headers: dict[str, str]
    continue_on_error: bool


@dataclass(slots=True, kw_only=True)
class _UnderWay:
    """A batch that is being worked through."""

    headers: dict[str, str]
    continue_on_error: bool
    responses: list[BatchResponse] = field(default_factory=list[BatchResponse])
    urls: dict[str, str] = field(default_factory=dict[str, str])
    """What `$id` stands for, of the requests that succeeded."""
    failed: set[str] = field(default_factory=set[str])
    """Ids of requests and groups that did not succeed."""
    size: int = 0

    def add(self, request: BatchRequest, response: Response, url: str = "") -> None:
        self.responses.append(BatchResponse(id=request.id, response=response, group=request.group))
        self.size += len(response.body)
        if response.status >= _FAILED:
            self.failed |= {request.id, request.group or request.id}
        elif url:
            self.urls[request.id] = response.headers.get("Location", url)

    @property
    def stops(self) -> bool:
        return bool(self.failed) and not self.continue_on_error


_FAILED = 400


class Batches:
    """Takes batches apart and serves their requests one after the other."""

    def __init__(self, application: Application, service: ODataService, serve: Serve, calls: Calls) -> None:
        self._app = application
        self._service = service
        self._serve = serve
        self._calls = calls

    async def answer(self, request: Request, caller: Caller) -> Response:
        """The answers to all requests, or 202; 400 for a batch that breaks a rule, before any of it is done."""
        batch = self._parse(request.headers.get("content-type", ""), request)
        inherited = {name: request.headers[name] for name in _INHERITED if name in request.headers}
        if monitors.wants_async(request) and caller.engine is not None:
            start = self._start(request, batch, inherited, caller)
            begun = (await self._app.service.begin(start, caller.engine)).operation
            return await self._calls.pending(request, begun, caller)
        under_way = _UnderWay(headers=inherited, continue_on_error=continues_on_error(request))
        # Only a JSON batch may answer one of its requests with 202 (OData Protocol 4.01, section 11.7.5).
        await self.work(batch, under_way, caller if batch.is_json else replace(caller, engine=None))
        rendered = batch_results.render(under_way.responses, is_json=batch.is_json, boundary=uuid4().hex)
        return replace(rendered, headers={**rendered.headers, "Vary": "Prefer"})

    async def run(self, context: ActionContext, stored: BatchInput) -> list[Any]:
        """The handler of an asynchronous batch: its answers in the form they are stored in."""
        request = Request(method="POST", url=f"{stored.base}/{ROOT}/$batch", body=stored.body)
        batch = self._parse(stored.content_type, request)
        left = (context.deadline - now()).total_seconds()
        caller = Caller(
            owner=context.owner,
            base=stored.base,
            engine=None,
            until=time.monotonic() + left,
            longest=TIMEOUT.total_seconds(),
            run=context.run_id,
            is_canceled=lambda: context.cancel_requested,
        )
        under_way = _UnderWay(headers=stored.headers, continue_on_error=stored.continue_on_error)
        await self.work(batch, under_way, caller, context)
        return batch_results.to_stored(under_way.responses)

    async def work(
        self, batch: Batch, under_way: _UnderWay, caller: Caller, context: ActionContext | None = None
    ) -> None:
        """Serve the requests in their order, a group as one; stop at the first that fails unless told to go on."""
        total, done = len(batch.requests), 0
        for unit in batches.units(batch.requests):
            if under_way.stops:
                return
            caller_of_unit = replace(caller, run=f"{caller.run}-{done}") if caller.run else caller
            if unit[0].group is None:
                await self._one(unit[0], under_way, caller_of_unit)
            else:
                await self._group(unit, under_way, caller_of_unit)
            done += len(unit)
            if context is not None:
                context.report_progress(done=done, total=total, message=f"Served request {unit[-1].id}"[:200])

    async def _one(self, one: BatchRequest, under_way: _UnderWay, caller: Caller) -> None:
        request = None

        async def serve(_: Request) -> Response:
            nonlocal request
            request = self._request(one, under_way, caller)
            return await self._serve(request, caller)

        response = await self._answered(serve, under_way, caller)
        under_way.add(one, response, request.url.partition("?")[0] if request else "")

    async def _group(self, group: Sequence[BatchRequest], under_way: _UnderWay, caller: Caller) -> None:
        """One transaction. Where it fails, the request at fault has the error and the others 424."""
        entities = Entities(max_body_bytes=self._app.settings.max_body_bytes)
        requests: list[tuple[Request, Target]] = []
        answers: list[Response] = []

        async def write(_: Request) -> Response:
            for member in group:
                request = self._request(member, under_way, caller)
                requests.append((request, resolve(self._service, request.path)))
            changes = [entities.change(request, target) for request, target in requests]
            entity_set = requests[0][1].entity_set
            assert entity_set is not None, "checked with the batch"
            stored = await entities.write(entity_set, changes, by=caller.run)
            for (request, target), entity in zip(requests, stored, strict=True):
                answer = entities.written(request, target, entity, caller)
                answers.append(odata_border.with_version(request, answer))
            return Response(status=200)

        response = await self._answered(write, under_way, caller)
        if response.status < _FAILED:
            for member, (request, _), answer in zip(group, requests, answers, strict=True):
                under_way.add(member, answer, request.url.partition("?")[0])
            return
        batch_results.add_failure(under_way.add, group, response)

    async def _answered(
        self, serve: Callable[[Request], Awaitable[Response]], under_way: _UnderWay, caller: Caller
    ) -> Response:
        """What the border makes of it; only that storage cannot be reached ends an asynchronous batch's attempt."""
        unreachable: list[StorageError] = []

        async def bounded(request: Request) -> Response:
            if under_way.size > MAX_ANSWER_BYTES:
                message = f"The answers before have more than {MAX_ANSWER_BYTES} bytes; split the batch."
                raise RequestError(413, "BatchAnswerTooLarge", message)
            if caller.seconds_left <= 0:
                raise too_long(caller.longest)
            try:
                return await serve(request)
            except StorageRefused:
                raise
            except StorageError as error:
                unreachable.append(error)
                raise

        outer = Request(method="POST", url=f"{caller.base}/{ROOT}/$batch", headers=under_way.headers)
        response = await odata_border.answer(outer, bounded)
        if unreachable and caller.run:
            raise unreachable[0]
        return response

    def _request(self, one: BatchRequest, under_way: _UnderWay, caller: Caller) -> Request:
        """The request as one of its own. Raises RequestError 424 where it builds on one that failed."""
        if failed := [id for id in one.depends_on if id in under_way.failed]:
            raise RequestError(424, "FailedDependency", f"It depends on {failed[0]!r}, which failed.")
        url = references.resolve(one.url, under_way.urls, failed=under_way.failed, root=f"{caller.base}/{ROOT}")
        return Request(
            method=one.method,
            url=url,
            headers={**under_way.headers, **one.headers},
            query=references.query_of(url),
            body=one.body,
        )

    def _parse(self, content_type: str, request: Request) -> Batch:
        limit = self._app.settings.max_body_bytes
        batch = batches.parse(request.body, content_type, limit=limit)
        for unit in batches.units(batch.requests):
            if unit[0].group is not None:
                self._check_group(unit, f"{headers_base(request.url)}")
        return batch

    def _start(self, request: Request, batch: Batch, inherited: dict[str, str], caller: Caller) -> StartRequest:
        facts = monitors.StartFacts(
            version=media.odata_version(request),
            metadata="minimal",
            ieee754=False,
            enclosed=monitors.encloses_by_default(request),
            undoable=False,
            batch="json" if batch.is_json else "multipart",
        )
        input = BatchInput(
            content_type=request.headers.get("content-type", ""),
            body=base64.b64encode(request.body),
            base=caller.base,
            headers=inherited,
            continue_on_error=continues_on_error(request),
        )
        input_json = bodies.canonical_json(input)
        return StartRequest(
            action=self._app.runnable[NAME],
            input=input,
            input_json=input_json,
            owner=caller.owner,
            method=request.method,
            path=request.path.strip("/"),
            api_version="",
            fingerprint=bodies.fingerprint(NAME, request.method, input_json),
            profile=monitors.PROFILE,
            facts=facts.to_facts(),
        )


def continues_on_error(request: Request) -> bool:
    """The preference `continue-on-error`, with or without a value (OData Protocol 4.01, section 8.2.8.3)."""
    found = preferences(request)
    value = found.get("continue-on-error", found.get("odata.continue-on-error"))
    return value is not None and value.lower() in ("", "true")
