"""Work orders: what the system that sets presses up has to do, each handed out once.

    orders   key {time}!{run}   an order that waits, with its secret

A row without a secret was handed out. The write that hands an order out replaces its row, so that the secret is gone
from storage by then; the row itself goes after that. docs/decisions/0006-secret-of-an-external-operation.md says what
this costs: an order whose answer gets lost is not handed out again.
"""

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime

from pydantic import Field

from shared.actions.models import Model
from shared.errors import StorageConflict, StorageError
from shared.operations.rows import write_time
from shared.storage.ports import Delete, Insert, Replace, Row, Storage
from shared.storage.row_pages import row_pages
from shared.storage.write_once import write_once

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

    async def put(self, order: WorkOrder, *, run: str, created: datetime) -> None:
        """Keep an order until somebody takes it; doing it again for one `run` changes nothing."""
        change = Insert(f"{write_time(created)}!{run}", order.model_dump())
        # The row of this run is there already: an answer got lost.
        with suppress(StorageConflict):
            await write_once(self._rows, _PARTITION, [change])

    async def take(self, *, still_wanted: Callable[[WorkOrder], Awaitable[bool]]) -> WorkOrder | None:
        """The oldest order that is `still_wanted`, which nobody else gets any more; None where there is none."""
        async for rows in row_pages(self._rows, _PARTITION, limit=_PAGE):
            for row in rows:
                order = _order(row)
                # Asked first: an order is lost once it is claimed and the answer to this cannot be had.
                wanted = order is not None and await still_wanted(order)
                if await self._claim(row, order) and wanted:
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
            _log.warning("A taken order's row stays for now: %s", error, extra={"action": "order_not_removed"})
        return order is not None


def _order(row: Row) -> WorkOrder | None:
    return WorkOrder.model_validate(row.values, by_name=True) if row.values.get("secret") else None
