"""The use cases behind every profile: start, get, cancel, delete.

No request and no SDK is known here. What a caller may not do is a RequestError, which has an HTTP status code.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from pydantic import BaseModel

from shared import telemetry
from shared.actions.context import RequestContext
from shared.actions.declaration import Action
from shared.engine.port import Engine, Starter, Work
from shared.errors import EngineError, RequestError, StorageConflict, StorageUnavailable
from shared.frozen import frozen, replace
from shared.model import lifecycle
from shared.model.ids import Locator, new_id, new_run_id
from shared.model.operation import LINK, NO_PAYLOAD, RESULT, Operation, RequestIdentity, Status
from shared.model.timing import Clock, Timing
from shared.operations import measures
from shared.operations.attempt import LiveAttempts
from shared.operations.files import check_answered, told_of
from shared.operations.locks import Locks, ResourceLocked
from shared.operations.log_lines import about
from shared.operations.pacing import Pacing
from shared.operations.pauses import Pauses
from shared.operations.records import OperationRecords
from shared.operations.recovery import Recovery
from shared.operations.removal import Removals
from shared.operations.waiting import wait_for_end, wait_for_young
from shared.telemetry import Kind

_log = logging.getLogger(__name__)


@frozen(kw_only=True)
class StartRequest:
    """A validated request to start an action."""

    action: Action
    context: RequestContext
    input: BaseModel | None
    input_json: bytes
    owner: str
    method: str
    path: str
    api_version: str
    fingerprint: str
    operation_id: str | None = None
    """The caller's own id: the same one with the same fingerprint answers the same operation again."""
    profile: str = "data-plane"
    resource: str = ""
    start_status: int = 202
    profile_state: Mapping[str, Any] = field(default_factory=dict[str, Any])
    not_before: datetime | None = None
    """When its first attempt is to begin at the earliest; None for at once."""
    is_checked: bool = False
    """Whether the action's preconditions were asked already, before something was held for this start."""
    retry_after: int | None = None
    """Seconds between polls, where the profile has its own default; else the action's."""
    exclusive: bool = False
    """Whether `resource` is held by this operation, so that no other one starts on it until this one has ended."""
    is_repeatable: bool = False
    """Whether the same request once more, while this operation holds the resource, finds this operation."""
    labels: tuple[str, ...] = ()
    """No part of what makes two starts the same: a replay finds the operation as it was labelled first."""
    retry_of: str = ""
    """The operation that this one runs again."""
    decide_status: Callable[[], Awaitable[int]] | None = None
    """Says the `start_status` of a new operation, after the preconditions; not asked for a replay."""

    def repeats(self, holder: Operation) -> bool:
        """Whether this is the request once more that started `holder`. One that chooses an id is about that id."""
        is_about_it = self.is_repeatable and self.operation_id in (None, holder.id)
        return is_about_it and holder.identity == RequestIdentity.of(self)


@frozen
class Started:
    """An operation, and whether it was there before."""

    operation: Operation
    replayed: bool


class OperationService:
    """Starts and shows operations of one store."""

    def __init__(
        self,
        records: OperationRecords,
        recovery: Recovery,
        removals: Removals,
        live: LiveAttempts,
        locks: Locks,
        *,
        clock: Clock,
        timing: Timing,
        pacing: Pacing,
        pauses: Pauses | None = None,
        patient: int = 0,
    ) -> None:
        """`patient`: how many requests may wait while polls wait on in a saturated process."""
        self.pacing = pacing
        self._patient = patient
        self._pauses = pauses
        self._records = records
        self._recovery = recovery
        self._removals = removals
        self._live = live
        self._locks = locks
        self._clock = clock
        self._timing = timing

    async def start(self, request: StartRequest, engine: Starter) -> Operation:
        """As `begin`, for who does not need to know whether it was a replay."""
        return (await self.begin(request, engine)).operation

    async def begin(self, request: StartRequest, engine: Starter) -> Started:
        """Create an operation and hand it to the engine; or find the stored one that this request has started before.

        That is the one with the caller's id, or for a write that chooses none, the one that still holds the resource.
        Raises RequestError: 503 ActionPaused, 409 OperationIdInUse, ResourceLocked while another operation holds the
        resource, or what a precondition answers. Nothing exists then. When the engine does not take the start, the
        operation stays NotStarted and housekeeping starts it.
        """
        action = request.action.name
        with telemetry.span(f"start {action}", {measures.ACTION: action}, kind=Kind.PRODUCER):
            try:
                started = await self._begin(request, engine)
            except ResourceLocked as error:
                if error.holder is None or not request.repeats(error.holder):
                    raise
                started = Started(await self._recovery.recover_for_request(error.holder, engine), replayed=True)
            telemetry.note({measures.OPERATION_ID: started.operation.id, "lro.replayed": started.replayed})
            return started

    async def _begin(self, request: StartRequest, engine: Starter) -> Started:
        self._check_time(request)
        operation_id = request.operation_id or new_id()
        locator = Locator.of(request.owner, operation_id)
        if request.operation_id is not None:
            stored = await self._records.read(locator, for_monitor=True)
            if stored is not None:
                replay = _replay(stored, request)
                return replace(replay, operation=await self._recovery.recover_for_request(stored, engine))
        self.check_not_paused(request.action)
        if request.exclusive:
            await self._locks.check(request.resource, locator)
        if not request.is_checked:
            await request.action.check_preconditions(request.context, request.input)
        if request.decide_status is not None:
            request = replace(request, start_status=await request.decide_status())
        seconds = self._timing.store_within
        try:
            async with self._clock.timeout(seconds):
                started = await self._store(request, operation_id)
        except TimeoutError:
            raise StorageUnavailable(f"the start was not stored within {seconds:g} s") from None
        if started.replayed:
            return started
        operation = started.operation
        if operation.is_parked:
            return started
        self._live.starts.keep(operation)
        try:
            await engine.start(operation.instance_id, Work.of(operation))
        except EngineError as error:
            line = about(_log, operation, "start_deferred")
            line.warning("The engine did not take a start; housekeeping will: %s", error)
        return Started(operation, replayed=False)

    def check_not_paused(self, action: Action) -> None:
        """Raise RequestError 503 ActionPaused where nothing of it is to be started for now."""
        if self._pauses is not None:
            self._pauses.check_start(action.name)

    def _check_time(self, request: StartRequest) -> None:
        """Raise RequestError 400 for a start that would have to wait until after its deadline."""
        longest = request.action.deadline or self._timing.total_deadline
        if request.not_before is not None and request.not_before >= self._clock.now() + longest:
            message = f"The operation ends {longest.total_seconds():.0f} seconds after its start: name an earlier time."
            raise RequestError(400, "InvalidNotBefore", message, target="Operation-Not-Before")

    async def _lost_race(self, operation: Operation, request: StartRequest) -> Operation:
        """The record that another start of this id has made; what was made for ours is taken back."""
        await self._records.drop_input(operation)
        stored = await self._records.read(operation.locator, for_monitor=True)
        if request.exclusive and (stored is None or stored.resource.lower() != request.resource.lower()):
            await self._locks.release(request.resource, operation.run_id)
        if stored is None:
            raise StorageConflict(f"operation {operation.id} came and went")
        return stored

    async def wait(self, operation: Operation, seconds: float, engine: Starter | None = None) -> Operation:
        """The operation once it has ended, or as it is after `seconds`. Costs point reads, ever fewer."""
        read = partial(self._read, engine=engine)
        completions = self._live.completions
        return await wait_for_end(operation, seconds, completions, read, clock=self._clock, timing=self._timing)

    async def _store(self, request: StartRequest, operation_id: str) -> Started:
        """The new record, its resource held; or the stored one, where an equal start was faster."""
        operation = await self._new(request, operation_id)
        try:
            if request.exclusive:
                await self._locks.take(request.resource, operation.locator, operation.run_id)
            return Started(await self._records.insert(operation), replayed=False)
        except RequestError:
            await self._records.drop_input(operation)
            raise
        except StorageConflict:
            return _replay(await self._lost_race(operation, request), request)

    async def _read(
        self, locator: Locator, engine: Starter | None = None, *, for_monitor: bool = True
    ) -> Operation | None:
        """The record, by one point read, after what was overdue; `engine` starts it again where it was lost."""
        operation = await self._records.read(locator, for_monitor=for_monitor)
        return operation and await self._recovery.recover_for_request(operation, engine)

    async def find(self, locator: Locator) -> Operation:
        """The record as it is. Raises RequestError 404 OperationNotFound."""
        operation = await self._records.read(locator, for_monitor=True)
        if operation is None:
            raise not_found(locator.id)
        return operation

    async def get(self, owner: str, operation_id: str, engine: Starter | None = None) -> Operation:
        """The operation, after what was overdue for it; `engine` starts it again where it was lost.

        Raises RequestError 404 OperationNotFound, also for somebody else's.
        """
        operation = await self._read(Locator.of(owner, operation_id), engine)
        if operation is None:
            raise not_found(operation_id)
        return operation

    async def poll(self, owner: str, operation_id: str, engine: Starter | None) -> Operation:
        """As `get`, for who polls: where it is young, as `wait_if_young` has it."""
        return await self.wait_if_young(await self.get(owner, operation_id, engine), engine)

    async def wait_if_young(self, operation: Operation, engine: Starter | None) -> Operation:
        """A young operation that runs here, or is about to, as it has ended, where that comes within a moment.

        Without an `engine` nobody polls: the operation is looked at before something is done about it.

        Stock pollers ask at once after a start and then keep to `Retry-After`, which is a second at least: without
        this the shortest operation takes them that long. It costs no storage request. In a saturated process the
        moment lasts as long as the operation is young: work goes before polls.
        """
        if engine is None or operation.status.is_terminal or operation.external or not self._timing.young_wait:
            return operation
        young = self._timing.young
        # One that the clock of another instance, or one that was set back, has made is not younger than new.
        left = min(young, operation.created + young - self._clock.now())
        if operation.waiting_for or left <= timedelta(0):
            return operation
        if operation.status is not Status.NOT_STARTED and not self._live.has(operation.locator):
            return operation
        completions = self._live.completions
        return await wait_for_young(
            operation,
            self._timing.young_wait,
            completions,
            most=left.total_seconds(),
            patient=self._patient,
            clock=self._clock,
        )

    async def get_with_input(
        self, owner: str, operation_id: str, engine: Starter | None = None
    ) -> tuple[Operation, bytes | None]:
        """As `get`, with what it was started with; None where that is just being removed."""
        operation = await self._read(Locator.of(owner, operation_id), engine, for_monitor=False)
        if operation is None:
            raise not_found(operation_id)
        return operation, await self._records.load_payload(operation.input)

    async def result(
        self, owner: str, operation_id: str, engine: Starter | None = None
    ) -> tuple[Operation, bytes | None]:
        """As `get`, with the content of its result where it succeeded with one: of a file its bytes.

        Raises RequestError 409 UseDownloadUrl for a file that no answer can hold.
        """
        operation = await self.poll(owner, operation_id, engine)
        if operation.file is None:
            content = await self.result_content(operation)
        else:
            check_answered(operation.file)
            content = await self._records.load_payload(operation.file)
        if content is None and operation.outcome and operation.outcome.body:
            raise RequestError(410, "ResultGone", "The result of this operation has been removed.")
        return operation, content

    async def result_content(self, operation: Operation, before: bytes = b"", after: bytes = b"") -> bytes | None:
        """The JSON of its result, of a file what is known of it, between what is given: it may be large.

        None where there is none, or where it is just being removed.
        """
        body = operation.outcome.body if operation.outcome else None
        if operation.status is not Status.SUCCEEDED or body is None:
            return None
        if body.file_name:
            return b"".join((before, await told_of(body, self._records, self._clock.now()), after))
        return await self._records.load_payload(body, before, after)

    async def cancel(
        self, owner: str, operation_id: str, *, profile_state: Mapping[str, Any] | None = None
    ) -> Operation:
        """Ask it to stop; a finished one stays as it is. `profile_state` is stored with one that is to stop."""
        operation = await self.get(owner, operation_id)

        def cancel(stored: Operation) -> Operation:
            changed = lifecycle.cancel(stored, self._clock.now(), leases=self._records.leases)
            if changed is stored or not profile_state:
                return changed
            return replace(changed, profile_state={**changed.profile_state, **profile_state})

        operation = await self._records.change(operation, cancel)
        self._live.cancel(operation.locator)
        if operation.status.is_terminal:
            self._live.completions.notify(operation)
        return operation

    async def remember(self, operation: Operation, profile_state: Mapping[str, Any]) -> Operation:
        """Store `profile_state` with it, beside that of its start."""
        return await self._records.change(
            operation, lambda o: replace(o, profile_state={**o.profile_state, **profile_state})
        )

    async def delete(self, owner: str, operation_id: str, engine: Engine) -> None:
        """Remove a finished operation; once this returns nobody sees it. Raises RequestError 409 while it runs.

        Its payloads and its instances in the engine go with it: at once, or where the engine is slow with a later pass.
        """
        operation = await self.get(owner, operation_id)
        if not operation.status.is_terminal:
            raise RequestError(
                409,
                "OperationNotFinished",
                f"The operation is {operation.status}; cancel it and wait until it has ended before deleting it.",
            )
        full = await self._records.read(operation.locator)
        if full is not None and full.run_id == operation.run_id:
            await self._removals.remove(full, engine, within=self._timing.removal_within)

    async def _new(self, request: StartRequest, operation_id: str) -> Operation:
        now = self._clock.now()
        run_id = new_run_id()
        operation = Operation(
            id=operation_id,
            owner=request.owner,
            run_id=run_id,
            action=request.action.name,
            method=request.method,
            path=request.path,
            api_version=request.api_version,
            fingerprint=request.fingerprint,
            input=NO_PAYLOAD,
            created=now,
            changed=now,
            deadline=now + (request.action.deadline or self._timing.total_deadline),
            keep=request.action.keep,
            retry_after=request.retry_after or request.action.retry_after,
            profile=request.profile,
            resource=request.resource,
            start_status=request.start_status,
            profile_state={**request.profile_state, **({RESULT: LINK} if request.action.links_result else {})},
            traceparent=telemetry.traceparent(),
            labels=request.labels,
            retry_of=request.retry_of,
            input_version=request.action.input_version,
        )
        if request.not_before is not None:
            operation = lifecycle.scheduled(operation, request.not_before, park_after=self._timing.park_after)
        return await self._records.with_input(operation, request.input_json)


def _replay(stored: Operation, request: StartRequest) -> Started:
    if stored.fingerprint != request.fingerprint:
        raise RequestError(
            409,
            "OperationIdInUse",
            f"Operation-Id {stored.id!r} belongs to another request; send a new one.",
            target="Operation-Id",
        )
    return Started(stored, replayed=True)


def not_found(operation_id: str) -> RequestError:
    return RequestError(
        404, "OperationNotFound", "There is no such operation, or it has expired.", target=operation_id[:100]
    )
