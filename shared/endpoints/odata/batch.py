"""Batches (OData Protocol 4.01, section 11.7): at once, or as one operation of their own.

An asynchronous batch runs in its own activity, and its actions through the runner in that same activity: it never waits
for another activity, so any number of batches end. Where the activity is lost, the next attempt goes on behind what the
journal has. What was under way is begun again and changes nothing twice: an action's operation has an id made of the
batch's run and the request's place, and every write carries that as its marker.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

from pydantic import Base64Bytes, BaseModel, TypeAdapter

from shared.actions.attempt_context import ActionContext, Attempt
from shared.actions.context import RequestContext, Services
from shared.actions.declaration import Action
from shared.actions.odata.routes import BATCH_ACTION, ROOT
from shared.actions.odata.service import ODataService
from shared.actions.policies import Retry
from shared.contracts import versions
from shared.contracts.caller import Caller
from shared.contracts.http import Request, Response
from shared.contracts.odata import media, monitors
from shared.contracts.odata.batch.bodies import Format, answer_format, read_batch, to_stored, write_batch
from shared.contracts.odata.batch.parts import Batch, BatchLimits, continues_on_error
from shared.contracts.odata.urls import service_root
from shared.contracts.preferences import preferences
from shared.endpoints.odata.batch_groups import check_groups
from shared.endpoints.odata.batch_work import BatchWork, Serve
from shared.endpoints.odata.calls import Calls, start_request
from shared.endpoints.odata.entities import Entities
from shared.endpoints.odata.execution import Execution
from shared.frozen import replace
from shared.operations.off_loop import off_loop
from shared.operations.service import OperationService, StartRequest

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


@dataclass(kw_only=True)
class Batches:
    """Takes batches apart and has their requests served."""

    declared: ODataService
    operations: OperationService
    services: Services
    calls: Calls
    entities: Entities
    serve: Serve
    """Answers one request of a batch."""
    longest_attempt: timedelta | None
    """What the host leaves an attempt; None for no limit."""

    @cached_property
    def action(self) -> Action:
        """Asynchronous batches as an action like any other: dispatched, retried, timed and kept by the same code."""
        return Action(
            name=BATCH_ACTION,
            handler=self._run,
            method="POST",
            route=f"{ROOT}/$batch",
            input_model=BatchInput,
            output=TypeAdapter(list[Any]),
            timeout=min(_TIMEOUT, self.longest_attempt or _TIMEOUT),
            retry=Retry(max_attempts=3),
            keep=timedelta(hours=24),
            retry_after=1,
            where=__name__,
        )

    async def answer(self, request: Request, execution: Execution) -> Response:
        """The answers to all requests, or 202; 400 for a batch that breaks a rule, before any of it is done."""
        version = media.odata_version(request)
        batch = await off_loop(len(request.body), self._read, request, execution.context, _address(request))
        form = answer_format(monitors.without_message(request), is_json=batch.is_json)
        continues = continues_on_error(batch, preferences(request))
        if monitors.wants_async(request) and execution.engine is not None:
            size = len(request.body)
            start = await off_loop(size, self._start, request, form, continues, version, execution)
            begun = (await self.operations.begin(start, execution.engine)).operation
            return await self.calls.pending(request, begun, execution)
        # Only a JSON batch may answer one of its requests with 202 (section 11.7.7.5).
        work = self._work(request, batch, execution if batch.is_json else replace(execution, engine=None), continues)
        answers = await work.run()
        response = await off_loop(work.size, write_batch, answers, form)
        return replace(response, headers={**response.headers, "Vary": "Prefer"})

    async def _run(self, context: ActionContext, stored: BatchInput) -> list[Any]:
        """The handler of an asynchronous batch: its answers in the form they are stored in."""
        seconds = (context.deadline - context.clock.now()).total_seconds()
        headers = {**stored.headers, "content-type": stored.content_type}
        request = Request(method="POST", url=f"{stored.address}/$batch", headers=headers, body=stored.body)
        execution = Execution(
            context=Caller(owner=context.owner, base_url=stored.base, api_version=versions.DEFAULT).context(
                self.services
            ),
            engine=None,
            until=context.clock.monotonic() + seconds,
            longest=self.action.timeout.total_seconds(),
            run_id=context.run_id,
            is_canceled=lambda: context.cancel_requested,
        )
        batch = await off_loop(len(request.body), self._read, request, execution.context, stored.address)
        work = self._work(request, batch, execution, stored.continues, context.attempt_state)

        def report(done: int, last: str) -> None:
            context.report_progress(done=done, total=len(batch.requests), message=f"Served request {last}"[:200])

        answers = await work.run(report)
        return await off_loop(work.size, to_stored, answers)

    def _work(
        self, request: Request, batch: Batch, execution: Execution, continues: bool, attempt: Attempt | None = None
    ) -> BatchWork:
        return BatchWork(
            service=self.declared,
            serve=self.serve,
            outer=request,
            batch=batch,
            execution=execution,
            continues=continues,
            entities=self.entities,
            attempt=attempt,
        )

    def _read(self, request: Request, context: RequestContext, address: str) -> Batch:
        root = service_root(context.base_url)
        limits = BatchLimits(bytes=self.services.settings.max_body_bytes)
        batch = read_batch(request, root=root, also=(address,), limits=limits)
        check_groups(self.declared, batch, context, root=root, also=(address,))
        return batch

    def _start(
        self, request: Request, form: Format, continues: bool, version: str, execution: Execution
    ) -> StartRequest:
        profile_state = monitors.StartState(
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
            base=execution.base,
            address=_address(request),
            headers=dict(kept),
            continues=continues,
        )
        return start_request(request, self.action, input, profile_state, execution)


def _address(request: Request) -> str:
    """The service root at the address the request came to, which may not be the public one."""
    scheme, _, rest = request.url.partition("://")
    return service_root(f"{scheme}://{rest.partition('/')[0]}{request.root_path}")
