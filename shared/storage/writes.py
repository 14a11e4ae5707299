"""Writes whose answer may get lost, done once.

A connection that breaks after the request was sent leaves the writer in the dark, and a layer below may have sent the
request again and met a conflict with itself: aiohttp repeats PUT and DELETE on a kept-alive connection that turns out
closed. So every write carries a fresh id, and the row tells afterwards whose write it holds.

What this cannot see: our write was done, its answer was lost, and another writer replaced the row before we read it.
A conditional write then ends as a conflict, which callers resolve as they do any other.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from secrets import token_hex

from shared.errors import StorageAnswerLost, StorageConflict, StorageError, StorageUnavailable
from shared.storage.ports import Change, Delete, Insert, Merge, Replace, Row, Table, Upsert

WRITE_ID = "w"
"""The column that holds the id of the row's latest write. Stored: never renamed."""

_PAUSES = (0.05, 0.25)
"""Seconds before the second and the third try."""


async def write_once(
    table: Table,
    partition: str,
    changes: Sequence[Change],
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> tuple[str | None, ...]:
    """`table.write`, with lost answers resolved by the write id in the first change that is not a Delete.

    Returns the new etags; after a lost answer only that row's is known and the others are None. Raises StorageConflict
    (somebody else's write stands), StorageAnswerLost (the row could not be read to find out), StorageUnavailable
    (three tries came to nothing), StorageRefused, and ValueError when every change is a Delete.
    """
    position = next((at for at, change in enumerate(changes) if not isinstance(change, Delete)), None)
    if position is None:
        raise ValueError("write_once needs a change that leaves a row behind; Deletes alone go to Table.write")
    write_id = token_hex(16)
    marked = [*changes[:position], _marked(changes[position], write_id), *changes[position + 1 :]]
    lost: StorageAnswerLost | None = None
    for pause in (*_PAUSES, None):
        try:
            return await table.write(partition, marked)
        except (StorageConflict, StorageAnswerLost) as error:
            row = await _read_back(table, partition, marked[position].key, error)
            if row is not None and row.values.get(WRITE_ID) == write_id:
                return tuple(row.etag if at == position else None for at in range(len(marked)))
            if isinstance(error, StorageConflict):
                raise
            lost = error
        if pause is not None:
            await sleep(pause)
    raise StorageUnavailable("the store took the write three times without answering, and did not do it") from lost


async def _read_back(table: Table, partition: str, key: str, error: StorageError) -> Row | None:
    try:
        return await table.read(partition, key, columns=[WRITE_ID])
    except StorageUnavailable:
        raise StorageAnswerLost("the write may have been done, and the row could not be read to find out") from error


def _marked(change: Change, write_id: str) -> Insert | Merge | Replace | Upsert:
    assert not isinstance(change, Delete)
    values = {**change.values, WRITE_ID: write_id}
    if isinstance(change, Insert | Upsert):
        return type(change)(change.key, values)
    return type(change)(change.key, values, change.if_match)
