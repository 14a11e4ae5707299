"""An operation as table rows, and back. Pure.

One operation's rows share a partition, so every change is one entity-group transaction:

    o!{owner hash}!{id}                          the record
    a!{owner hash}!{id}                          active marker, until terminal
    l!{owner hash}!{inverted creation time}!{id} what a list shows, newest first
    x!{expiry}!{owner hash}!{id}                 once terminal: what housekeeping removes
    x!{due}!{owner hash}!{id}!{run id}           once removed, instead of all others: what is still to be cleared, and
                                                 when; or, until the record is there, its input that is a blob
    x!{due}!{owner hash}!{id}!{run id}!{result}  until the record names it: a reported result that is a blob

Readers are tolerant: unknown columns are passed over and absent ones mean their default, so rows written by an older
version keep loading (tests/unit/test_rows.py holds frozen ones).
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from shared.errors import ErrorBody, ErrorDetail, SettingsError
from shared.model.attempts import AttemptOutcome, AttemptRecord, Attempts
from shared.model.ids import Locator
from shared.model.operation import SCHEMA_VERSION, Operation, Outcome, Progress, Status
from shared.model.times import read_time, write_time
from shared.operations.payload_columns import input_columns, load_json, payload_of, stored_input
from shared.operations.remains import Remains
from shared.storage.ports import Change, Delete, Insert, Merge, Row, Scalar

_TIMES = (
    "created",
    "changed",
    "deadline",
    "started",
    "ended",
    "not_before",
    "lease_until",
    "attempt_deadline",
    "unknown_since",
    "expires",
)
_TEXTS = ("id", "owner", "run_id", "action", "method", "path", "api_version", "fingerprint", "holder", "resource")
_NUMBERS = ("retry_after", "generation", "attempt", "failures", "losses", "fence", "dispatch_failures")

MONITOR_COLUMNS = (
    *(*_TEXTS, *_NUMBERS, *_TIMES),
    *("v", "profile", "start_status", "profile_state", "status", "keep", "progress", "outcome", "result_text", "w"),
    *("external", "attempts", "last_error", "labels"),
)
"""All a status monitor needs: everything but the input, and the hash of an external operation's secret."""

LIST_COLUMNS = (
    *("v", "id", "owner", "action", "status", "created", "changed", "deadline", "started", "attempt", "labels"),
    *("progress", "outcome"),
)
"""All a list needs of a record that it reads itself."""

_MAX_TICKS = 10**16
"""Microseconds from the year 1 to beyond the year 300; an inverted time has as many digits."""


@dataclass(frozen=True, slots=True)
class ListRow:
    """One operation as a list shows it, and where the list goes on after it."""

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


def to_columns(operation: Operation) -> dict[str, Scalar]:
    """The columns of the record row. What is not set is an empty string: a merge cannot remove a column."""
    columns: dict[str, Scalar] = {"v": SCHEMA_VERSION, "status": operation.status.value}
    columns |= {name: getattr(operation, name) for name in (*_TEXTS, *_NUMBERS)}
    columns |= {name: write_time(at) if (at := getattr(operation, name)) else "" for name in _TIMES}
    columns["profile"] = operation.profile
    columns["start_status"] = operation.start_status
    columns["profile_state"] = json.dumps(operation.profile_state) if operation.profile_state else ""
    columns["keep"] = operation.keep.total_seconds()
    columns["progress"] = _dump(operation.progress)
    columns["last_error"] = _dump(operation.last_error)
    columns["attempts"] = _dump_attempts(operation.attempts)
    columns |= input_columns(operation.input)
    outcome = asdict(operation.outcome) if operation.outcome else None
    columns["result_text"] = (outcome["body"].pop("text") or "") if outcome and outcome["body"] else ""
    columns["outcome"] = json.dumps(outcome) if outcome else ""
    if operation.external:
        columns |= {"external": True, "secret_hash": operation.secret_hash}
    return columns | _label_columns(operation)


def from_row(row: Row) -> Operation:
    """The operation in a record row. A row read without its input has an empty one.

    Raises SettingsError for one of an older schema, whose columns have other names.
    """
    values = row.values
    if (version := int(values.get("v", SCHEMA_VERSION))) < SCHEMA_VERSION:
        raise SettingsError(f"a record of schema {version} is in the store; this version reads {SCHEMA_VERSION}")
    text = {name: str(values.get(name, "")) for name in _TEXTS}
    numbers = {name: int(values.get(name, 0)) for name in _NUMBERS}
    times = {name: read_time(str(values[name])) for name in _TIMES if values.get(name)}
    fields: dict[str, Any] = {**text, **numbers, **times}
    return Operation(
        **fields,
        profile=str(values.get("profile", "data-plane")),
        start_status=int(values.get("start_status", 202)),
        profile_state=load_json(values, "profile_state") or {},
        labels=_read_labels(values),
        external=bool(values.get("external", False)),
        secret_hash=str(values.get("secret_hash", "")),
        status=Status(str(values["status"])),
        keep=timedelta(seconds=float(values.get("keep", 86_400))),
        input=stored_input(values),
        progress=_progress(load_json(values, "progress")),
        outcome=_outcome(load_json(values, "outcome"), values.get("result_text")),
        last_error=_error(load_json(values, "last_error")),
        attempts=_load_attempts(values),
        etag=row.etag,
    )


def insertions(operation: Operation) -> list[Change]:
    """The rows of a new operation."""
    locator = operation.locator
    return [
        Insert(locator.record_key, to_columns(operation)),
        Insert(locator.active_key, {"created": write_time(operation.created)}),
        Insert(list_key(operation), _list_columns(operation)),
    ]


def updates(old: Operation, new: Operation) -> list[Change]:
    """The smallest transaction that takes the stored `old` to `new`, guarded by the record's etag."""
    locator = new.locator
    before, after = to_columns(old), to_columns(new)
    changed = {name: value for name, value in after.items() if before[name] != value}
    changes: list[Change] = [Merge(locator.record_key, changed, if_match=old.etag)]
    if new.status is not old.status:
        changes.append(Merge(list_key(new), _list_columns(new)))
        if new.status.is_terminal:
            changes.append(Delete(locator.active_key))
            changes.append(Insert(expiry_key(new), {}))
    return changes


def removal(operation: Operation, remains: Remains) -> list[Change]:
    """What takes a terminal operation out of sight, and leaves a row that tells what it has left."""
    return [
        Delete(operation.locator.record_key, if_match=operation.etag),
        Delete(list_key(operation)),
        Delete(expiry_key(operation)),
        Insert(remains.key, remains.columns),
    ]


def list_position(locator: Locator, created: datetime) -> str:
    """Where an operation stands in its owner's list."""
    return f"{inverted(created)}!{locator.id}"


def list_key(operation: Operation) -> str:
    return f"l!{operation.locator.owner_hash}!{inverted(operation.created)}!{operation.id}"


def expiry_key(operation: Operation) -> str:
    assert operation.expires is not None, "only a terminal operation expires"
    return f"x!{write_time(operation.expires)}!{operation.locator}"


def read_expiry_row(row: Row) -> Locator | Remains:
    """Which operation is to be removed, or what one that was has left. Raises ValueError or KeyError."""
    _, moment, owner_hash, id, *rest = row.key.split("!")
    locator = Locator.parse(f"{owner_hash}!{id}")
    if not rest:
        return locator
    run_id, *result = rest
    return Remains.from_columns(locator, run_id, read_time(moment), row.values, result="".join(result))


def read_active_row(row: Row) -> tuple[Locator, datetime]:
    """Which operation is not terminal, and when it was created. Raises ValueError or KeyError."""
    return Locator.parse(row.key[2:]), read_time(str(row.values["created"]))


def read_list_row(row: Row) -> ListRow:
    _, _, inverted, id = row.key.split("!")
    values = row.values
    return ListRow(
        id=id,
        kind=str(values["kind"]),
        status=Status(str(values["status"])),
        created=read_time(str(values["created"])),
        changed=read_time(str(values["changed"])),
        position=f"{inverted}!{id}",
        error_code=str(values.get("error_code", "")),
        attempt=int(values.get("attempt", 0)),
        started=read_time(str(values["started"])) if values.get("started") else None,
        labels=_read_labels(values),
    )


def list_row(operation: Operation) -> ListRow:
    """What a list shows of a record that was read itself, with how far it is."""
    return ListRow(
        id=operation.id,
        kind=operation.action,
        status=operation.status,
        created=operation.created,
        changed=operation.changed,
        position=list_position(operation.locator, operation.created),
        error_code=_error_code(operation),
        attempt=operation.attempt,
        started=operation.started,
        labels=operation.labels,
        percent=operation.progress.percent if operation.progress else None,
        is_read_itself=True,
    )


def _list_columns(operation: Operation) -> dict[str, Scalar]:
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
    return columns | _label_columns(operation)


def _error_code(operation: Operation) -> str:
    error = operation.outcome.error if operation.outcome else None
    return error.code if error and operation.status is not Status.SUCCEEDED else ""


def _label_columns(operation: Operation) -> dict[str, Scalar]:
    """No label has a comma."""
    return {"labels": ",".join(operation.labels)} if operation.labels else {}


def _read_labels(values: Mapping[str, Scalar]) -> tuple[str, ...]:
    text = str(values.get("labels", ""))
    return tuple(text.split(",")) if text else ()


def inverted(moment: datetime) -> str:
    """A time in the keys of lists: the later, the smaller."""
    microseconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    return f"{_MAX_TICKS - microseconds:017d}"


def _dump(value: Progress | ErrorBody | None) -> str:
    return json.dumps(asdict(value)) if value else ""


def _dump_attempts(attempts: Attempts) -> str:
    """Without what is empty; not escaped as ASCII, which would make some texts several times as long."""
    kept = [_attempt_values(each) for each in attempts]
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":")) if kept else ""


def _attempt_values(attempt: AttemptRecord) -> dict[str, Any]:
    ended = write_time(attempt.ended) if attempt.ended else ""
    values = {**asdict(attempt), "began": write_time(attempt.began), "ended": ended}
    return {name: value for name, value in values.items() if value not in ("", None)}


def _load_attempts(values: Mapping[str, Scalar]) -> Attempts:
    found = cast(list[dict[str, Any]], json.loads(str(values.get("attempts") or "[]")))
    return tuple(
        AttemptRecord(
            number=each["number"],
            began=read_time(each["began"]),
            instance=each.get("instance", ""),
            ended=read_time(each["ended"]) if each.get("ended") else None,
            outcome=AttemptOutcome(each["outcome"]) if each.get("outcome") else None,
            code=each.get("code", ""),
            message=each.get("message", ""),
        )
        for each in found
    )


def _progress(value: dict[str, Any] | None) -> Progress | None:
    return Progress(**{k: v for k, v in value.items() if k in Progress.__slots__}) if value else None


def _outcome(value: dict[str, Any] | None, text: Scalar | None) -> Outcome | None:
    if not value:
        return None
    return Outcome(
        status_code=value["status_code"],
        headers=value.get("headers") or {},
        body=payload_of(value.get("body"), text),
        error=_error(value.get("error")),
    )


def _error(value: dict[str, Any] | None) -> ErrorBody | None:
    if not value:
        return None
    details = tuple(ErrorDetail(d["code"], d["message"], d.get("target")) for d in value.get("details") or ())
    return ErrorBody(value["code"], value["message"], value.get("target"), details)
