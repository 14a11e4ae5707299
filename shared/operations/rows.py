"""An operation as table rows, and back. Pure.

One operation's rows share a partition, so every change is one entity-group transaction:

    o!{owner hash}!{id}                          the record
    a!{owner hash}!{id}                          active marker, until terminal: housekeeping looks at it in every pass
    p!{owner hash}!{id}                          instead of it while the operation is parked
    l!{owner hash}!{inverted creation time}!{id} what a list shows, newest first
    g!{inverted creation time}!{owner hash}!{id} the same for lists over all owners, where principals are trusted
    j!{owner hash}!{id}!{run id}!{step}          the result of a step that is done once (`shared.operations.steps`)
    t!{time}!{owner hash}!{id}!{kind}            a due row: housekeeping looks at it then
        look                                     while it is parked: it is woken
        expire                                   once terminal: it is removed
        clear!{run id}                           once removed, instead of all others: what is still to be cleared; or,
                                                 until the record is there, its input that is a blob
        clear!{run id}!{result}                  until the record names it: a reported result that is a blob

Readers are tolerant: unknown columns are passed over and absent ones mean their default, so rows written by an older
version keep loading (tests/unit/test_rows.py holds frozen ones).
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, cast

from shared.errors import ErrorBody, ErrorDetail, SettingsError
from shared.frozen import frozen
from shared.model.attempts import AttemptOutcome, AttemptRecord, Attempts
from shared.model.ids import Locator
from shared.model.operation import SCHEMA_VERSION, Operation, Outcome, Progress, Status
from shared.model.times import read_time, write_time
from shared.operations.list_rows import label_columns, list_columns, list_keys, read_labels
from shared.operations.payload_columns import (
    described,
    dump_json,
    load_json,
    payload_columns,
    payload_of,
    stored_input,
)
from shared.operations.remains import CLEAR, Remains
from shared.storage.ports import Change, Delete, Insert, Merge, Row, Scalar

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_OF_PROGRESS = tuple(each.name for each in fields(Progress))
_OF_ATTEMPT = tuple(each.name for each in fields(AttemptRecord))

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
    "misfit_since",
    "expires",
    "scheduled",
    "waiting_since",
    "look_at",
)
_TEXTS = (
    *("id", "owner", "run_id", "action", "method", "path", "api_version", "fingerprint", "holder", "resource"),
    "waiting_for",
)
_NUMBERS = (
    *("retry_after", "generation", "attempt", "failures", "losses", "forgiven", "fence", "dispatch_failures"),
    *("saved_fence", "idle_slices", "steps", "purged"),
)

MONITOR_COLUMNS = (
    *(*_TEXTS, *_NUMBERS, *_TIMES),
    *("v", "profile", "start_status", "profile_state", "status", "keep", "progress", "outcome", "result_text", "w"),
    *("external", "attempts", "last_error", "labels", "listed_for_all", "retry_of", "input_version"),
)
"""All a status monitor needs: everything but the input, the checkpoint, and the hash of an external operation's
secret."""

_EXPIRE, _LOOK = "expire", "look"
_NEVER_UNSET = frozenset(("keep", "profile", "start_status", "input_version"))
"""Their defaults are something: nothing is a value of its own there."""


@frozen
class Look:
    """A parked operation whose time has come."""

    locator: Locator


def to_columns(operation: Operation) -> dict[str, Scalar]:
    """The columns of a record row that is new: what is not set has no column yet."""
    columns: dict[str, Scalar] = {"v": SCHEMA_VERSION}
    for name, value in zip(_WRITTEN, _read_written(operation), strict=True):
        if value or name in _NEVER_UNSET:
            columns |= _WRITERS[name](name, value)
    return columns


def _changed_columns(old: Operation, new: Operation) -> dict[str, Scalar]:
    """What is not set any more is an empty string: a merge cannot remove a column."""
    columns: dict[str, Scalar] = {}
    for name, before, after in zip(_WRITTEN, _read_written(old), _read_written(new), strict=True):
        if before is not after and before != after:
            columns |= _WRITERS[name](name, after)
    return columns


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
        traceparent=str(values.get("traceparent", "")),
        labels=read_labels(values),
        input_version=int(values.get("input_version", 1)),
        retry_of=str(values.get("retry_of", "")),
        listed_for_all=bool(values.get("listed_for_all", False)),
        external=bool(values.get("external", False)),
        secret_hash=str(values.get("secret_hash", "")),
        status=Status(str(values["status"])),
        keep=timedelta(seconds=float(values.get("keep", 86_400))),
        input=stored_input(values),
        saved=payload_of(load_json(values, "saved"), values.get("saved_text")),
        progress=_progress(load_json(values, "progress")),
        outcome=_outcome(load_json(values, "outcome"), values.get("result_text")),
        last_error=_error(load_json(values, "last_error")),
        attempts=_load_attempts(values),
        etag=row.etag,
    )


def insertions(operation: Operation) -> list[Change]:
    """The rows of a new operation."""
    return [
        Insert(operation.locator.record_key, to_columns(operation)),
        *_inserted(_found_by(operation)),
        *(Insert(key, list_columns(operation)) for key in list_keys(operation)),
    ]


def updates(old: Operation, new: Operation) -> list[Change]:
    """The smallest transaction that takes the stored `old` to `new`, guarded by the record's etag."""
    locator = new.locator
    changes: list[Change] = [Merge(locator.record_key, _changed_columns(old, new), if_match=old.etag)]
    if new.status is not old.status or new.look_at != old.look_at:
        changes += [Merge(key, list_columns(new)) for key in list_keys(new)]
        found, finds = _found_by(old), _found_by(new)
        changes += [Delete(key) for key in found if key not in finds]
        changes += _inserted({key: values for key, values in finds.items() if key not in found})
    return changes


def _found_by(operation: Operation) -> dict[str, dict[str, Scalar]]:
    """The rows by which housekeeping finds it, with their columns."""
    if operation.status.is_terminal:
        return {expiry_key(operation): {}}
    created: dict[str, Scalar] = {"created": write_time(operation.created)}
    if operation.look_at is None:
        return {operation.locator.active_key: created}
    return {operation.locator.parked_key: created, look_key(operation): {}}


def _inserted(rows: Mapping[str, Mapping[str, Scalar]]) -> list[Change]:
    return [Insert(key, values) for key, values in rows.items()]


def removal(operation: Operation, remains: Remains) -> list[Change]:
    """What takes a terminal operation out of sight, and leaves a row that tells what it has left."""
    return [
        Delete(operation.locator.record_key, if_match=operation.etag),
        *map(Delete, list_keys(operation)),
        Delete(expiry_key(operation)),
        Insert(remains.key, remains.columns),
    ]


def expiry_key(operation: Operation) -> str:
    assert operation.expires is not None, "only a terminal operation expires"
    return f"t!{write_time(operation.expires)}!{operation.locator}!{_EXPIRE}"


def look_key(operation: Operation) -> str:
    assert operation.look_at is not None, "only a parked operation is looked at by its time"
    return f"t!{write_time(operation.look_at)}!{operation.locator}!{_LOOK}"


def read_due_row(row: Row) -> Look | Locator | Remains:
    """Which operation is to be looked at, or to be removed, or what one that was has left.

    Raises ValueError or KeyError.
    """
    _, moment, owner_hash, id, kind, *rest = row.key.split("!")
    locator = Locator.parse(f"{owner_hash}!{id}")
    if kind == CLEAR and rest:
        run_id, *result = rest
        return Remains.from_columns(locator, run_id, read_time(moment), row.values, result="".join(result))
    if rest or kind not in (_EXPIRE, _LOOK):
        raise ValueError(f"a due row of another kind: {kind}")
    return locator if kind == _EXPIRE else Look(locator)


def read_active_row(row: Row) -> tuple[Locator, datetime]:
    """Which operation is not terminal, and when it was created. Raises ValueError or KeyError."""
    return Locator.parse(row.key[2:]), read_time(str(row.values["created"]))


def _as_is(name: str, value: Any) -> dict[str, Scalar]:
    return {name: value}


def _if_set(name: str, value: Any) -> dict[str, Scalar]:
    """For what most operations do not have, and what never changes."""
    return {name: value} if value else {}


def _time(name: str, moment: datetime | None) -> dict[str, Scalar]:
    return {name: write_time(moment) if moment else ""}


def _json(name: str, value: Any) -> dict[str, Scalar]:
    return {name: json.dumps(value) if value else ""}


def _error_columns(name: str, error: ErrorBody | None) -> dict[str, Scalar]:
    return {name: dump_json(asdict(error)) if error else ""}


def _progress_columns(name: str, progress: Progress | None) -> dict[str, Scalar]:
    return {name: dump_json({each: getattr(progress, each) for each in _OF_PROGRESS}) if progress else ""}


def _outcome_columns(name: str, outcome: Outcome | None) -> dict[str, Scalar]:
    if outcome is None:
        return {name: "", "result_text": ""}
    values = {
        "status_code": outcome.status_code,
        "headers": outcome.headers or None,
        "body": described(outcome.body) if outcome.body else None,
        "error": asdict(outcome.error) if outcome.error else None,
    }
    # An outcome never changes, so without a body there is no text of an earlier one to clear.
    columns: dict[str, Scalar] = {name: dump_json(values)}
    if outcome.body:
        columns["result_text"] = outcome.body.text or ""
    return columns


def _attempts_columns(name: str, attempts: Attempts) -> dict[str, Scalar]:
    """Without what is empty; not escaped as ASCII, which would make some texts several times as long."""
    kept = [_attempt_values(each) for each in attempts]
    return {name: _ENCODER.encode(kept) if kept else ""}


def _attempt_values(attempt: AttemptRecord) -> dict[str, Any]:
    values = {each: getattr(attempt, each) for each in _OF_ATTEMPT}
    values["began"], values["ended"] = write_time(attempt.began), attempt.ended and write_time(attempt.ended)
    return {name: value for name, value in values.items() if value not in ("", None)}


_WRITERS: Mapping[str, Callable[[str, Any], dict[str, Scalar]]] = {
    "status": lambda name, status: {name: status.value},
    **dict.fromkeys((*_TEXTS, *_NUMBERS, "profile", "start_status"), _as_is),
    **dict.fromkeys(_TIMES, _time),
    "profile_state": _json,
    "keep": lambda name, keep: {name: keep.total_seconds()},
    "progress": _progress_columns,
    "last_error": _error_columns,
    "attempts": _attempts_columns,
    "input": payload_columns,
    "saved": payload_columns,
    "outcome": _outcome_columns,
    **dict.fromkeys(("external", "secret_hash", "listed_for_all", "traceparent", "retry_of"), _if_set),
    "input_version": lambda name, version: {name: version} if version != 1 else {},
    "labels": lambda _, labels: label_columns(labels),
}
"""The columns of each field. No two fields have one in common, so what did not change is not written."""

_WRITTEN = tuple(_WRITERS)
_read_written = attrgetter(*_WRITTEN)


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
    return Progress(**{k: v for k, v in value.items() if k in _OF_PROGRESS}) if value is not None else None


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
