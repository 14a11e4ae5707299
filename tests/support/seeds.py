"""Many operations, written as rows into the store of a host before it starts."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from uuid import UUID

from shared.errors import ErrorBody, ErrorDetail
from shared.model import lifecycle
from shared.model.operation import Operation, Outcome, Payload
from shared.model.times import write_time
from shared.operations import list_rows, rows
from shared.storage.factory import open_storage
from shared.storage.limits import MAX_CHANGES
from shared.storage.ports import Change, Insert
from shared.system_clock import SystemClock
from tests.support.parts import LEASES, make_operation, settings

HUB = "LongRunningActions"
"""The task hub of a local host, after which its tables are named."""
KINDS = ("book:import", "book:upload-finish", "report:generate", "shelf:migrate")
BROKEN = ErrorBody(
    "InvalidEpub",
    "The file is no EPUB: container.xml names no package document.\nLook at the entry META-INF/container.xml.",
    "content",
    (ErrorDetail("MissingElement", "There is no rootfile element.", "META-INF/container.xml"),),
)
OUT_OF_TIME = ErrorBody("Timeout", "The operation did not end within 5 minutes.")


def ended(
    number: int, now: datetime, *, keep: timedelta = timedelta(days=90), kinds: Sequence[str] = KINDS
) -> Operation:
    """The operation that was created that many minutes ago: of every fifty three failed and one was canceled.

    `kinds` are names of actions. An app that is to remove it in one go has them all.
    """
    created = now - timedelta(minutes=number + 1, seconds=number % 47)
    operation = make_operation(
        id=f"{UUID(int=Random(number).getrandbits(128), version=4)}",
        run_id=f"{number:032x}",
        action=kinds[number * 7 % len(kinds)],
        created=created,
        changed=created,
        deadline=created + timedelta(hours=24),
        keep=keep,
        labels=(("team-a",), (), ("team-b", f"batch:{number % 9}"))[number % 3],
    )
    place = number % 50
    if place == 41:
        return lifecycle.cancel(operation, created + timedelta(seconds=3), leases=LEASES)
    begun, end = created + timedelta(seconds=1), created + timedelta(seconds=2 + number % 190)
    if place == 7:
        operation = _attempt(operation, begun, "9f3ac21b")
        error = ErrorBody("ConnectionReset", "The library's server closed the connection.")
        operation = lifecycle.retry_later(operation, end, fence=operation.fence, not_before=end, error=error)
        begun, end = end, end + timedelta(seconds=9)
    operation = _attempt(operation, begun, "5be0d417")
    if place in (7, 23, 35):
        outcome = Outcome(500, error=OUT_OF_TIME if place == 35 else BROKEN)
        return lifecycle.fail(operation, end, fence=operation.fence, outcome=outcome)
    text = f'{{"title":"Book {number}","words":{number * 37 % 90_000}}}'
    body = Payload("application/json", len(text), "a" * 64, text=text)
    return lifecycle.succeed(operation, end, fence=operation.fence, outcome=Outcome(200, body=body))


def _attempt(operation: Operation, at: datetime, holder: str) -> Operation:
    return lifecycle.claim(operation, at, holder=holder, timeout=timedelta(minutes=5), leases=LEASES)


def seed(folder: Path, operations: Sequence[Operation], *, whole: int) -> None:
    """Write the rows of these into the SQLite store of the host over `folder`, which is not running.

    The first `whole` are there with all their rows; of the others there is what a list reads.
    """
    changes = [
        *((o, each) for o in operations[:whole] for each in rows.insertions(o)),
        *((o, _listed(o)) for o in operations[whole:]),
    ]
    by_partition: dict[str, list[Change]] = {}
    for operation, change in changes:
        by_partition.setdefault(operation.locator.partition, []).append(change)
    (folder / "data").mkdir(parents=True, exist_ok=True)
    asyncio.run(_write(folder / "data", by_partition))


async def _write(data: Path, by_partition: Mapping[str, Sequence[Change]]) -> None:
    async with aclosing(open_storage(settings(data, OPERATIONS_NAMESPACE=HUB), clock=SystemClock())) as storage:
        table = storage.table("operations")
        for partition, changes in by_partition.items():
            for first in range(0, len(changes), MAX_CHANGES):
                await table.write(partition, changes[first : first + MAX_CHANGES])


def _listed(operation: Operation) -> Change:
    times = {"created": write_time(operation.created), "changed": write_time(operation.changed)}
    error = operation.outcome.error if operation.outcome else None
    columns = {"kind": operation.action, "status": operation.status.value, "attempt": operation.attempt, **times}
    return Insert(
        list_rows.list_key(operation),
        columns | {"error_code": error.code if error else "", "labels": ",".join(operation.labels)},
    )
