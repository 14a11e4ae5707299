"""What lists show of an operation, as a row of its own. Pure.

Lists are read by it alone, but for active operations, whose records a list reads itself (`shared.operations.lists`).
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from shared.frozen import frozen
from shared.model.ids import Locator
from shared.model.operation import Operation, Status
from shared.model.times import read_time, write_time
from shared.storage.ports import Row, Scalar

LIST_COLUMNS = (
    *("v", "id", "owner", "action", "status", "created", "changed", "deadline", "started", "attempt", "labels"),
    *("progress", "outcome"),
)
"""All a list needs of a record that it reads itself."""

_MAX_TICKS = 10**16
"""Microseconds from the year 1 to beyond the year 300; an inverted time has as many digits."""


@frozen
class ListRow:
    """One operation as a list shows it, and where the list goes on after it."""

    owner_hash: str
    id: str
    kind: str
    status: Status
    created: datetime
    changed: datetime
    """When its status last changed; of a terminal one, its end."""
    position: str
    error_code: str = ""
    attempt: int = 0
    """Of a row that is not terminal as it was at the last change of its status."""
    started: datetime | None = None
    """When its first attempt began."""
    labels: tuple[str, ...] = ()
    percent: float | None = None
    is_read_itself: bool = False
    """Whether it comes from the record, with how far that is."""


def list_position(locator: Locator, created: datetime, *, for_all: bool = False) -> str:
    """Where an operation stands in its owner's list, or in the one of all owners."""
    return f"{inverted(created)}!{locator if for_all else locator.id}"


def list_keys(operation: Operation) -> list[str]:
    own = list_key(operation)
    if not operation.listed_for_all:
        return [own]
    return [own, f"g!{list_position(operation.locator, operation.created, for_all=True)}"]


def list_key(operation: Operation) -> str:
    return f"l!{operation.locator.owner_hash}!{inverted(operation.created)}!{operation.id}"


def read_list_row(row: Row) -> ListRow:
    """Of the owner's list or of that of all owners. Raises ValueError or KeyError."""
    kind, *rest = row.key.split("!")
    owner_hash, moment, id = rest if kind == "l" else (rest[1], rest[0], rest[2])
    values = row.values
    return ListRow(
        owner_hash=owner_hash,
        id=id,
        kind=str(values["kind"]),
        status=Status(str(values["status"])),
        created=read_time(str(values["created"])),
        changed=read_time(str(values["changed"])),
        position=f"{moment}!{id}" if kind == "l" else row.key[2:],
        error_code=str(values.get("error_code", "")),
        attempt=int(values.get("attempt", 0)),
        started=read_time(str(values["started"])) if values.get("started") else None,
        labels=read_labels(values),
    )


def list_row(operation: Operation, *, for_all: bool = False) -> ListRow:
    """What a list shows of a record that was read itself, with how far it is."""
    return ListRow(
        owner_hash=operation.locator.owner_hash,
        id=operation.id,
        kind=operation.action,
        status=operation.status,
        created=operation.created,
        changed=operation.changed,
        position=list_position(operation.locator, operation.created, for_all=for_all),
        error_code=_error_code(operation),
        attempt=operation.attempt,
        started=operation.started,
        labels=operation.labels,
        percent=operation.progress.percent if operation.progress else None,
        is_read_itself=True,
    )


def list_columns(operation: Operation) -> dict[str, Scalar]:
    columns: dict[str, Scalar] = {
        "kind": operation.action,
        "status": operation.status.value,
        "created": write_time(operation.created),
        "changed": write_time(operation.changed),
        "attempt": operation.attempt,
    }
    if operation.started is not None:
        columns["started"] = write_time(operation.started)
    if code := _error_code(operation):
        columns["error_code"] = code
    return columns | label_columns(operation.labels)


def _error_code(operation: Operation) -> str:
    error = operation.outcome.error if operation.outcome else None
    return error.code if error and operation.status is not Status.SUCCEEDED else ""


def label_columns(labels: tuple[str, ...]) -> dict[str, Scalar]:
    """No label has a comma."""
    return {"labels": ",".join(labels)} if labels else {}


def read_labels(values: Mapping[str, Scalar]) -> tuple[str, ...]:
    text = str(values.get("labels", ""))
    return tuple(text.split(",")) if text else ()


@lru_cache(maxsize=512)
def inverted(moment: datetime) -> str:
    """A time in the keys of lists: the later, the smaller."""
    microseconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    return f"{_MAX_TICKS - microseconds:017d}"
