"""The use cases behind every profile: start, get, list, cancel, delete. No HTTP, no SDK."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from pydantic import BaseModel

from shared.actions.declaration import Action
from shared.engine.port import Engine, Work
from shared.errors import EngineError, RequestError, StorageConflict, StorageUnavailable
from shared.operations import lifecycle
from shared.operations.attempt import LiveAttempts
from shared.operations.holds import Holds
from shared.operations.ids import Locator, new_id, new_run
from shared.operations.model import Operation, Status
from shared.operations.records import ListPage, OperationRecords
from shared.operations.rows import ListRow
from shared.operations.waiting import wait_for_end

TOTAL_DEADLINE = timedelta(hours=24)
"""How long an operation may take over all its attempts, waits included."""

STORE_WITHIN = 6.0
"""Seconds for a start's payload and record together: callers are promised an answer within ten."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRequest:
    """A validated request to start an action."""

    action: Action
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
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])
    is_checked: bool = False
    """Whether the action's preconditions were asked already, before something was held for this start."""
    retry_after: int | None = None
    """Seconds between polls, where the profile has its own default; else the action's."""
    exclusive: bool = False
    """Whether `resource` is held by this operation, so that no other one starts on it until this one has ended."""
    decide_status: Callable[[], Awaitable[int]] | None = None
    """Says the `start_status` of a new operation, after the preconditions; not asked for a replay."""


@dataclass(frozen=True, slots=True)
class Started:
    """An operation, and whether it was there before."""

    operation: Operation
    replayed: bool


class OperationService:
    """Starts and shows operations of one store."""

    def __init__(
        self, records: OperationRecords, live: LiveAttempts, holds: Holds, *, clock: Callable[[], datetime]
    ) -> None:
        self._records = records
        self._live = live
        self._holds = holds
        self._clock = clock

    async def start(self, request: StartRequest, engine: Engine) -> Operation:
        """As `begin`, for who does not need to know whether it was a replay."""
        return (await self.begin(request, engine)).operation

    async def begin(self, request: StartRequest, engine: Engine) -> Started:
        """Create an operation and hand it to the engine; or find the stored one, if the caller's id is a replay.

        Raises RequestError: 409 OperationIdInUse, 409 OperationInProgress while another operation holds the resource,
        or what a precondition answers. Nothing exists then. When the engine does not take the start, the operation
        stays NotStarted and housekeeping starts it.
        """
        operation_id = request.operation_id or new_id()
        locator = Locator.of(request.owner, operation_id)
        if request.operation_id is not None:
            stored = await self._records.read(locator, for_monitor=True)
            if stored is not None:
                return _replay(stored, request)
        if request.exclusive:
            await self._holds.check(request.resource, locator)
        if not request.is_checked:
            await request.action.check_preconditions(request.input)
        if request.decide_status is not None:
            request = replace(request, start_status=await request.decide_status())
        try:
            async with asyncio.timeout(STORE_WITHIN):
                started = await self._store(request, operation_id)
        except TimeoutError:
            raise StorageUnavailable(f"the start was not stored within {STORE_WITHIN:g} s") from None
        if started.replayed:
            return started
        operation = started.operation
        try:
            await engine.start(operation.instance_id, Work.of(operation))
        except EngineError as error:
            _log.warning(
                "The engine did not take a start; housekeeping will: %s",
                error,
                extra={"action": "start_deferred", "operation_id": operation.id, "action_name": operation.action},
            )
        return Started(operation, replayed=False)

    async def _lost_race(self, operation: Operation, request: StartRequest) -> Operation:
        """The record that another start of this id has made; what was made for ours is taken back."""
        await self._records.drop_payload(operation.input)
        stored = await self._records.read(operation.locator, for_monitor=True)
        if request.exclusive and (stored is None or stored.resource.lower() != request.resource.lower()):
            await self._holds.release(request.resource, operation.run)
        if stored is None:
            raise StorageConflict(f"operation {operation.id} came and went")
        return stored

    async def wait(self, operation: Operation, seconds: float) -> Operation:
        """The operation once it has ended, or as it is after `seconds`. Costs point reads, ever fewer."""
        read = partial(self._records.read, for_monitor=True)
        return await wait_for_end(operation, seconds, self._live.endings, read)

    async def _store(self, request: StartRequest, operation_id: str) -> Started:
        """The new record, its resource held; or the stored one, where an equal start was faster."""
        operation = await self._new(request, operation_id)
        try:
            if request.exclusive:
                await self._holds.take(request.resource, operation.locator, operation.run)
            return Started(await self._records.insert(operation), replayed=False)
        except RequestError:
            await self._records.drop_payload(operation.input)
            raise
        except StorageConflict:
            return _replay(await self._lost_race(operation, request), request)

    async def get(self, owner: str, operation_id: str) -> Operation:
        """Raises RequestError 404 OperationNotFound, also for somebody else's."""
        operation = await self._records.read(Locator.of(owner, operation_id), for_monitor=True)
        if operation is None:
            raise not_found(operation_id)
        return operation

    async def get_with_input(self, owner: str, operation_id: str) -> tuple[Operation, bytes | None]:
        """As `get`, with what it was started with; None where that is just being removed."""
        operation = await self._records.read(Locator.of(owner, operation_id))
        if operation is None:
            raise not_found(operation_id)
        return operation, await self._records.load_payload(operation.input)

    async def result(self, owner: str, operation_id: str) -> tuple[Operation, bytes | None]:
        """The operation and, where it succeeded with one, the content of its result."""
        operation = await self.get(owner, operation_id)
        content = await self.result_content(operation)
        if content is None and operation.outcome and operation.outcome.body:
            raise RequestError(410, "ResultGone", "The result of this operation has been removed.")
        return operation, content

    async def result_content(self, operation: Operation) -> bytes | None:
        """The content of its result; None where there is none, or where it is just being removed."""
        body = operation.outcome.body if operation.outcome else None
        if operation.status is not Status.SUCCEEDED or body is None:
            return None
        return await self._records.load_payload(body)

    async def list(
        self, owner: str, *, position: str | None, limit: int, matches: Callable[[ListRow], bool]
    ) -> ListPage:
        return await self._records.page(owner, position=position, limit=limit, matches=matches)

    async def cancel(self, owner: str, operation_id: str, *, facts: Mapping[str, Any] | None = None) -> Operation:
        """Ask it to stop; a finished one stays as it is. `facts` are remembered of one that is asked to."""
        operation = await self.get(owner, operation_id)

        def ask(stored: Operation) -> Operation:
            asked = lifecycle.request_cancel(stored, self._clock())
            return asked if asked is stored or not facts else replace(asked, facts={**asked.facts, **facts})

        operation = await self._records.change(operation, ask)
        self._live.cancel(operation.locator)
        if operation.status.is_terminal:
            self._live.endings.announce(operation)
        return operation

    async def remember(self, operation: Operation, facts: Mapping[str, Any]) -> Operation:
        """Store `facts` with it, beside those of its start."""
        return await self._records.change(operation, lambda o: replace(o, facts={**o.facts, **facts}))

    async def delete(self, owner: str, operation_id: str) -> None:
        """Remove a finished operation and its payloads. Raises RequestError 409 while it runs."""
        operation = await self.get(owner, operation_id)
        if not operation.status.is_terminal:
            raise RequestError(
                409,
                "OperationNotFinished",
                f"The operation is {operation.status}; cancel it and wait until it has ended before deleting it.",
            )
        full = await self._records.read(operation.locator)
        if full is not None and full.run == operation.run:
            await self._records.purge(full)

    async def _new(self, request: StartRequest, operation_id: str) -> Operation:
        now = self._clock()
        run = new_run()
        input = await self._records.store_payload(run, "input", "application/json", request.input_json)
        return Operation(
            id=operation_id,
            owner=request.owner,
            run=run,
            action=request.action.name,
            method=request.method,
            path=request.path,
            api_version=request.api_version,
            fingerprint=request.fingerprint,
            input=input,
            created=now,
            changed=now,
            deadline=now + TOTAL_DEADLINE,
            keep=request.action.keep,
            retry_after=request.retry_after or request.action.retry_after,
            profile=request.profile,
            resource=request.resource,
            start_status=request.start_status,
            facts=dict(request.facts),
        )


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
