"""Reading, holding and rolling forward ARM resources: the I/O around `shared.resources.settle`."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from shared.errors import StorageConflict, StorageError
from shared.frozen import frozen, replace
from shared.model.ids import Locator
from shared.model.operation import Operation, Status
from shared.model.timing import Clock, Timing
from shared.operations.locks import is_held
from shared.operations.log_lines import about
from shared.operations.records import OperationRecords
from shared.resources import settle
from shared.resources.model import Resource, ResourceKey, ResourceRow
from shared.resources.store import ResourceStore
from shared.storage.ports import Storage

_TRIES = 8
_PARALLEL = 8

_log = logging.getLogger(__name__)


@frozen
class Found:
    """What is at a key. `row` is what a write starts from, None where there is none; `busy` while it is held.

    `holder` is the record of the operation that holds it; None where nothing does, or where that is not written yet.
    """

    row: ResourceRow | None
    resource: Resource | None
    busy: bool = False
    holder: Operation | None = None


_NOTHING = Found(None, None)


class Resources:
    """ARM resources of one store."""

    def __init__(self, storage: Storage, records: OperationRecords, *, clock: Clock, timing: Timing) -> None:
        self._store = ResourceStore(storage, clock=clock)
        self._records = records
        self._unrecorded = timing.unrecorded_lock

    async def find(self, key: ResourceKey) -> Found:
        """What is there, after the roll-forward of a holder that has ended."""
        for _ in range(_TRIES):
            row = await self._store.read(key)
            if row is None:
                return _NOTHING
            found = await self._read_through(row)
            if found is not None:
                return found
        raise StorageConflict(f"resource {key.name} kept changing")

    async def list(
        self, partition: str, *, resource_group: str | None, after: str | None, limit: int
    ) -> tuple[list[Resource], str | None]:
        """A page of what exists, in the order of group and name, and where the next one starts."""
        page = await self._store.page(partition, resource_group=resource_group, after=after, limit=limit)
        places = asyncio.Semaphore(_PARALLEL)

        async def one(row: ResourceRow) -> Resource | None:
            async with places:
                found = await self._read_through(row) or await self.find(row.key)
                return found.resource

        shown = await asyncio.gather(*(one(row) for row in page.rows))
        return [resource for resource in shown if resource is not None], page.position

    async def take(self, rows: Sequence[ResourceRow]) -> None:
        """Lock the rows, in the order of their keys so that two that want the same ones cannot block each other.

        Raises StorageConflict when one has changed since it was read; nothing is held then.
        """
        taken: list[ResourceRow] = []
        try:
            for row in sorted(rows, key=lambda row: row.key.row_key):
                taken.append(await self._store.write(row))
        except StorageConflict:
            await self._let_go(taken)
            raise

    async def release(self, keys: Sequence[ResourceKey], holder: Locator) -> None:
        """Let go of what was taken for an operation that will never be recorded."""
        stored = [await self._store.read(key) for key in keys]
        await self._let_go([r for r in stored if r and r.lock and r.lock.holder == str(holder)])

    async def roll_forward(self, keys: Sequence[ResourceKey], operation: Operation) -> None:
        """After the end of an operation: do what every reader of these rows would do.

        Raises StorageError where it could not be done: the operation's record must then stay, as it alone knows.
        """
        for key in keys:
            for _ in range(_TRIES):
                row = await self._store.read(key)
                if row is None or row.lock is None or row.lock.holder != str(operation.locator):
                    break
                if await self._settle(row, operation, must_write=True) is not None:
                    break
            else:
                raise StorageConflict(f"resource {key.name} kept changing")

    async def save_properties(self, key: ResourceKey, holder: Locator, properties: dict[str, Any]) -> bool:
        """Change properties of a resource on behalf of the action that holds it; False where it does so no more."""
        for _ in range(_TRIES):
            row = await self._store.read(key)
            if row is None or row.body is None or row.lock is None or row.lock.holder != str(holder):
                return False
            body = replace(row.body, properties={**row.body.properties, **properties})
            try:
                await self._store.write(replace(row, body=body))
            except StorageConflict:
                continue
            return True
        raise StorageConflict(f"resource {key.name} kept changing")

    async def _read_through(self, row: ResourceRow) -> Found | None:
        """What a row means, its holder's record read too; None where it has changed in the meantime."""
        if row.lock is None:
            return _found(row)
        operation = await self._records.read(Locator.parse(row.lock.holder), for_monitor=True)
        now, leases = self._records.verdict_clock.now(), self._records.leases
        if is_held(operation, row.lock.since, now, unrecorded=self._unrecorded, leases=leases):
            return Found(row, settle.shown_while_held(row, operation), busy=True, holder=operation)
        return await self._settle(row, operation)

    async def _settle(self, row: ResourceRow, operation: Operation | None, *, must_write: bool = False) -> Found | None:
        after = settle.rolled_forward(row, operation, await self._result(operation))
        try:
            if after is None:
                await self._store.remove(row)
                return _NOTHING
            after = await self._store.write(after)
        except StorageConflict:
            return None
        except StorageError as error:
            if must_write:
                raise
            # The answer is known all the same; whoever reads next tries again.
            line = about(_log, operation or _holder(row), "roll_forward_failed")
            line.warning("A resource was not rolled forward: %s", error)
        # A row that could not be removed is what a new creation starts from.
        return _found(after) if after is not None else Found(replace(row, body=None, lock=None), None)

    async def _result(self, operation: Operation | None) -> bytes | None:
        if operation is None or operation.status is not Status.SUCCEEDED or operation.outcome is None:
            return None
        body = operation.outcome.body
        return await self._records.load_payload(body) if body else None

    async def _let_go(self, rows: Sequence[ResourceRow]) -> None:
        for row in rows:
            try:
                if row.body is None:
                    await self._store.remove(row)
                else:
                    await self._store.write(replace(row, lock=None))
            except StorageError as error:
                # Its holder has no record, so the lock is void after a minute.
                about(_log, _holder(row), "release_failed").warning("A lock was not released: %s", error)


def _holder(row: ResourceRow) -> Locator:
    assert row.lock is not None, "nobody settles or lets go of what is free"
    return Locator.parse(row.lock.holder)


def _found(row: ResourceRow) -> Found:
    return Found(row, Resource(key=row.key, body=row.body, state=row.state) if row.body is not None else None)
