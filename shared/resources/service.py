"""Reading, holding and rolling forward ARM resources: the I/O around `shared.resources.settle`."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from shared.errors import StorageConflict, StorageError
from shared.operations.ids import Locator
from shared.operations.model import Operation, Status
from shared.operations.records import OperationRecords
from shared.resources import settle
from shared.resources.model import Body, Resource, ResourceKey, ResourceRow
from shared.resources.store import ResourceStore
from shared.storage.ports import Storage

_TRIES = 8
_PARALLEL = 8

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """What is at a key. `row` is what a write starts from, None where there is none; `busy` while it is held."""

    row: ResourceRow | None
    resource: Resource | None
    busy: bool = False


_NOTHING = Found(None, None)


class Resources:
    """ARM resources of one store."""

    def __init__(self, storage: Storage, records: OperationRecords, *, clock: Callable[[], datetime]) -> None:
        self._store = ResourceStore(storage)
        self._records = records
        self._clock = clock

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
        """Hold the rows, in the order of their keys so that two that want the same ones cannot block each other.

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
        await self._let_go([r for r in stored if r and r.hold and r.hold.holder == str(holder)])

    async def roll_forward(self, keys: Sequence[ResourceKey], operation: Operation) -> None:
        """After the end of an operation: do what every reader of these rows would do.

        Raises StorageError where it could not be done: the operation's record must then stay, as it alone knows.
        """
        for key in keys:
            for _ in range(_TRIES):
                row = await self._store.read(key)
                if row is None or row.hold is None or row.hold.holder != str(operation.locator):
                    break
                if await self._settle(row, operation, must_write=True) is not None:
                    break
            else:
                raise StorageConflict(f"resource {key.name} kept changing")

    async def save_properties(self, key: ResourceKey, holder: Locator, properties: dict[str, Any]) -> bool:
        """Change properties of a resource on behalf of the action that holds it; False where it does so no more."""
        for _ in range(_TRIES):
            row = await self._store.read(key)
            if row is None or row.body is None or row.hold is None or row.hold.holder != str(holder):
                return False
            body = Body(
                location=row.body.location,
                tags=row.body.tags,
                properties={**row.body.properties, **properties},
                system_data=row.body.system_data,
            )
            try:
                await self._store.write(replace(row, body=body))
            except StorageConflict:
                continue
            return True
        raise StorageConflict(f"resource {key.name} kept changing")

    async def _read_through(self, row: ResourceRow) -> Found | None:
        """What a row means, its holder's record read too; None where it has changed in the meantime."""
        if row.hold is None:
            return _found(row)
        operation = await self._records.read(Locator.parse(row.hold.holder), for_monitor=True)
        if not settle.is_settled(row.hold, operation, self._clock()):
            return Found(row, settle.shown_while_held(row, operation), busy=True)
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
            _log.warning("A resource was not rolled forward: %s", error, extra={"action": "roll_forward_failed"})
        # A row that could not be removed is what a new creation starts from.
        return _found(after) if after is not None else Found(replace(row, body=None, hold=None), None)

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
                    await self._store.write(replace(row, hold=None))
            except StorageError as error:
                # Its holder has no record, so the hold is void after a minute.
                _log.warning("A hold was not released: %s", error, extra={"action": "release_failed"})


def _found(row: ResourceRow) -> Found:
    return Found(row, Resource(key=row.key, body=row.body, state=row.state) if row.body is not None else None)
