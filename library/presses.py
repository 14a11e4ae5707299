"""Work orders: what the system that sets presses up has to do, each handed out once.

    orders   key {time}!{run id}   an order that waits, with its secret

A row without a secret was handed out. The write that hands an order out replaces its row, so that the secret is gone
from storage by then; the row itself goes after that. docs/decisions/0006-secret-of-an-external-operation.md says what
this costs: an order whose answer gets lost is not handed out again.
"""

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime

from pydantic import Field

from shared.actions import Model
from shared.storage import Delete, Insert, Replace, Row, Storage, StorageConflict, StorageError, row_pages, write_once

_PARTITION = "orders"
_PAGE = 20

_log = logging.getLogger(__name__)


class WorkOrder(Model):
    """What to set up, and how to say how it goes: `POST {update_url}` with `x-operation-secret: {secret}`."""

    press: str
    model: str
    operation_id: str
    update_url: str
    secret: str = Field(repr=False)


class WorkOrders:
    """Orders in a table, the oldest first."""

    def __init__(self, storage: Storage) -> None:
        self._rows = storage.table("workorders")

    async def put(self, order: WorkOrder, *, run_id: str, created: datetime) -> None:
        """Keep an order until somebody takes it; doing it again for one `run_id` replaces the one that still waits."""
        key = _key(created, run_id)
        try:
            await write_once(self._rows, _PARTITION, [Insert(key, order.model_dump())])
        except StorageConflict:
            row = await self._rows.read(_PARTITION, key)
            if row is not None and _order(row) is not None:
                # Where it is being taken right now, the secret that goes out with it is good as well.
                with suppress(StorageConflict):
                    await write_once(self._rows, _PARTITION, [Replace(key, order.model_dump(), if_match=row.etag)])

    async def remove(self, *, run_id: str, created: datetime) -> None:
        """Remove the order of a run that nobody has taken; doing it again changes nothing."""
        with suppress(StorageConflict):
            await self._rows.write(_PARTITION, [Delete(_key(created, run_id))])

    async def take(self, *, is_open: Callable[[WorkOrder], Awaitable[bool]]) -> WorkOrder | None:
        """The oldest order that `is_open`, which nobody else gets any more; None where there is none."""
        async for rows in row_pages(self._rows, _PARTITION, limit=_PAGE):
            for row in rows:
                order = _order(row)
                # Checked first: an order is lost once it is claimed and the answer to this cannot be had.
                open_order = order is not None and await is_open(order)
                if await self._claim(row, order) and open_order:
                    return order
        return None

    async def _claim(self, row: Row, order: WorkOrder | None) -> bool:
        """Whether the row's order is ours alone from now on; its row goes either way."""
        etag: str | None = row.etag
        if order is not None:
            taken = Replace(row.key, {"operation_id": order.operation_id, "secret": ""}, if_match=row.etag)
            try:
                (etag,) = await write_once(self._rows, _PARTITION, [taken])
            except StorageConflict:
                return False
        try:
            await self._rows.write(_PARTITION, [Delete(row.key, if_match=etag)])
        except StorageConflict:
            pass
        except StorageError as error:
            # It holds no secret any more; whoever takes the next order clears it away.
            _log.warning("A taken order's row stays for now: %s", error, extra={"event": "order_not_removed"})
        return order is not None


def _key(created: datetime, run_id: str) -> str:
    return f"{created.isoformat(timespec='microseconds')}!{run_id}"


def _order(row: Row) -> WorkOrder | None:
    return WorkOrder.model_validate(row.values, by_name=True) if row.values.get("secret") else None
