"""Batches (OData Protocol 4.01, section 11.7): at once, or as one operation of their own.

An asynchronous batch runs in its own activity, and its actions through the runner in that same activity: it never waits
for another activity, so any number of batches end. Where the activity is lost, the next attempt goes on behind what the
journal has. What was under way is begun again and changes nothing twice: an action's operation has an id made of the
batch's run and the request's place, and every write carries that as its marker.
"""

import base64
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from typing import Any

from pydantic import Base64Bytes, BaseModel, TypeAdapter

from shared.actions.context import ActionContext
from shared.actions.declaration import Action
from shared.actions.odata import ODataService
from shared.actions.odata_routes import ROOT
from shared.actions.policies import Retry
from shared.composition import Application, now
from shared.contracts.http import Request, Response
from shared.contracts.odata import media, monitors
from shared.contracts.odata.batch import Batch, BatchLimits, continues_on_error
from shared.contracts.odata.batch_bodies import Format, answer_format, read_batch, to_stored, write_batch
from shared.contracts.odata.urls import service_root
from shared.contracts.preferences import preferences
from shared.endpoints.odata_batch_groups import check_groups
from shared.endpoints.odata_batch_work import BatchWork, Serve
from shared.endpoints.odata_caller import Caller
from shared.endpoints.odata_calls import Calls, start_request
from shared.operations.journal import Journal
from shared.operations.model import Operation
from shared.operations.service import StartRequest

NAME = "odata:batch"
_TIMEOUT = timedelta(minutes=9)

_KEPT = ("odata-version", "odata-maxversion", "accept-language")
"""Headers of the batch that its requests inherit."""


class BatchInput(BaseModel):
    """An asynchronous batch as stored: its body as it came, and what its start has settled."""

    content_type: str
    body: Base64Bytes
    base: str
    address: str
    """The service root as the host saw it."""
    headers: dict[str, str]
    continues: bool


class Batches:
    """Takes batches apart and has their requests served."""

    def __init__(self, application: Application, service: ODataService, serve: Serve, calls: Calls) -> None:
        self._app = application
        self._service = service
        self._serve = serve
        self._calls = calls

    @cached_property
    def action(self) -> Action:
        """Asynchronous batches as an action like any other: dispatched, retried, timed and kept by the same code."""
        return Action(
            name=NAME,
            handler=self._run,
            method="POST",
            route=f"{ROOT}/$batch",
            input_model=BatchInput,
            output=TypeAdapter(list[Any]),
            timeout=min(_TIMEOUT, self._app.longest_attempt or _TIMEOUT),
            retry=Retry(max_attempts=3),
            keep=timedelta(hours=24),
            retry_after=1,
            where=__name__,
            after_end=self._forget,
        )

    async def answer(self, request: Request, caller: Caller) -> Response:
        """The answers to all requests, or 202; 400 for a batch that breaks a rule, before any of it is done."""
        version = media.odata_version(request)
        batch = self._read(request, caller.base, _address(request))
        form = answer_format(monitors.without_message(request), is_json=batch.is_json)
        continues = continues_on_error(batch, preferences(request))
        if monitors.wants_async(request) and caller.engine is not None:
            start = self._start(request, form, continues, version, caller)
            begun = (await self._app.service.begin(start, caller.engine)).operation
            return await self._calls.pending(request, begun, caller)
        # Only a JSON batch may answer one of its requests with 202 (section 11.7.7.5).
        work = self._work(request, batch, caller if batch.is_json else replace(caller, engine=None), continues)
        response = write_batch(await work.run(), form)
        return replace(response, headers={**response.headers, "Vary": "Prefer"})

    async def _run(self, context: ActionContext, stored: BatchInput) -> list[Any]:
        """The handler of an asynchronous batch: its answers in the form they are stored in."""
        seconds = (context.deadline - now()).total_seconds()
        headers = {**stored.headers, "content-type": stored.content_type}
        request = Request(method="POST", url=f"{stored.address}/$batch", headers=headers, body=stored.body)
        batch = self._read(request, stored.base, stored.address)
        caller = Caller(
            owner=context.owner,
            base=stored.base,
            engine=None,
            until=time.monotonic() + seconds,
            longest=self.action.timeout.total_seconds(),
            run=context.run_id,
            is_canceled=lambda: context.cancel_requested,
        )
        work = self._work(request, batch, caller, stored.continues, self._app.journal(context.run_id))

        def report(done: int, last: str) -> None:
            context.report_progress(done=done, total=len(batch.requests), message=f"Served request {last}"[:200])

        return to_stored(await work.run(report))

    async def _forget(self, operation: Operation) -> None:
        await self._app.journal(operation.run).clear()

    def _work(
        self, request: Request, batch: Batch, caller: Caller, continues: bool, journal: Journal | None = None
    ) -> BatchWork:
        return BatchWork(
            service=self._service,
            serve=self._serve,
            outer=request,
            batch=batch,
            caller=caller,
            continues=continues,
            max_body_bytes=self._app.settings.max_body_bytes,
            journal=journal,
        )

    def _read(self, request: Request, base: str, address: str) -> Batch:
        limits = BatchLimits(bytes=self._app.settings.max_body_bytes)
        batch = read_batch(request, root=service_root(base), also=(address,), limits=limits)
        check_groups(self._service, batch, root=service_root(base), also=(address,))
        return batch

    def _start(self, request: Request, form: Format, continues: bool, version: str, caller: Caller) -> StartRequest:
        facts = monitors.StartFacts(
            version=version,
            metadata="minimal",
            ieee754=False,
            enclosed=monitors.encloses_by_default(request),
            undoable=False,
            batch=form,
        )
        kept: Mapping[str, str] = {name: request.headers[name] for name in _KEPT if name in request.headers}
        input = BatchInput(
            content_type=request.headers.get("content-type", ""),
            body=base64.b64encode(request.body),
            base=caller.base,
            address=_address(request),
            headers=dict(kept),
            continues=continues,
        )
        return start_request(request, self.action, input, facts, caller)


def _address(request: Request) -> str:
    """The service root at the address the request came to, which may not be the public one."""
    scheme, _, rest = request.url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}/{ROOT}"
