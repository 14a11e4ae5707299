"""An operation as rows: there and back, the smallest writes, keys that sort and that Azure takes."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shared.errors import ErrorBody, ErrorDetail
from shared.operations import lifecycle, rows
from shared.operations.ids import ID_PATTERN, PARTITIONS, Locator
from shared.operations.model import Operation, Outcome, Payload, Progress, Status
from shared.storage.limits import check_key, check_transaction
from shared.storage.ports import Delete, Insert, Merge, Row, Scalar
from tests.unit.parts import T0, make_operation

FROZEN = Path(__file__).parents[1] / "data" / "rows-v1.json"

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)
TIMES = st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
COUNTS = st.integers(0, 1000)
IDS = st.from_regex(ID_PATTERN, fullmatch=True)
DIGEST = st.from_regex("[0-9a-f]{64}", fullmatch=True)
ERRORS = st.builds(
    ErrorBody,
    TEXT,
    TEXT,
    st.none() | TEXT,
    st.lists(st.builds(ErrorDetail, TEXT, TEXT, st.none() | TEXT), max_size=3).map(tuple),
)
PAYLOADS = st.builds(Payload, TEXT, COUNTS, DIGEST, text=TEXT) | st.builds(
    Payload, TEXT, COUNTS, DIGEST, blob=st.text("abc/", min_size=1)
)
OUTCOMES = st.builds(Outcome, COUNTS, st.dictionaries(TEXT, TEXT, max_size=2), st.none() | PAYLOADS, st.none() | ERRORS)
JSON = st.recursive(st.none() | st.booleans() | COUNTS | TEXT, lambda inner: st.lists(inner, max_size=3), max_leaves=5)
PROGRESS = st.builds(
    Progress, st.none() | st.floats(0, 100), st.none() | COUNTS, st.none() | COUNTS, st.none() | TEXT, JSON
)
OPERATIONS = st.builds(
    Operation,
    id=IDS,
    owner=TEXT,
    run=TEXT,
    action=TEXT,
    method=TEXT,
    path=TEXT,
    api_version=TEXT,
    fingerprint=DIGEST,
    input=PAYLOADS,
    created=TIMES,
    changed=TIMES,
    deadline=TIMES,
    keep=st.integers(1, 10**9).map(lambda seconds: timedelta(seconds=seconds)),
    retry_after=COUNTS,
    status=st.sampled_from(Status),
    generation=COUNTS,
    attempt=COUNTS,
    failures=COUNTS,
    fence=COUNTS,
    holder=TEXT,
    **{
        name: st.none() | TIMES
        for name in ("started", "ended", "not_before", "lease_until", "attempt_deadline", "unknown_since", "expires")
    },
    progress=st.none() | PROGRESS,
    outcome=st.none() | OUTCOMES,
    last_error=st.none() | ERRORS,
    etag=st.just("e"),
)


def as_row(columns: dict[str, Scalar]) -> Row:
    """What a store gives back: through JSON, as every adapter sends it."""
    return Row("0", "o!x", json.loads(json.dumps(columns)), "e")


@given(OPERATIONS)
def test_there_and_back(operation: Operation) -> None:
    """Whatever an operation holds, its columns give it back."""
    assert rows.from_row(as_row(rows.to_columns(operation))) == operation


@given(OPERATIONS, OPERATIONS)
def test_a_merge_leads_from_any_state_to_any_other(old: Operation, new: Operation) -> None:
    """Merging an update's columns over the stored ones gives the new operation and nothing of the old."""
    new = replace(new, id=old.id, owner=old.owner, created=old.created, expires=new.expires or new.created)
    change = rows.updates(old, new)[0]
    assert isinstance(change, Merge)
    assert rows.from_row(as_row({**rows.to_columns(old), **change.values})) == new


def test_frozen_rows_keep_loading() -> None:
    """Rows as version 1 wrote them load as what they meant then. Never edit that file: add to it."""
    for case in json.loads(FROZEN.read_text(encoding="utf-8")):
        operation = rows.from_row(Row("0", case["key"], case["columns"], "e"))
        for name, value in case["means"].items():
            found: Any = operation
            for part in name.split("."):
                found = getattr(found, part)
            assert (rows.write_time(found) if isinstance(found, datetime) else found) == value, name
        assert case["columns"]["v"] == 1
        if operation.status.is_terminal:
            assert [change.key for change in rows.deletions(operation)] == case["keys"]


def test_columns_are_those_of_the_frozen_rows() -> None:
    """A column that is renamed or dropped is a new schema version."""
    cases = [case["columns"] for case in json.loads(FROZEN.read_text(encoding="utf-8"))]
    written = set(rows.to_columns(make_operation()))
    assert set(cases[0]) - {"w"} <= written <= set().union(*cases)
    assert {case["v"] for case in cases} == {rows.SCHEMA_VERSION}


def test_tolerant_reader() -> None:
    """Unknown columns and members are passed over, absent ones mean their default."""
    columns = rows.to_columns(make_operation(progress=Progress(percent=5)))
    columns["progress"] = '{"percent": 5, "mood": "good"}'
    assert rows.from_row(as_row({**columns, "later": "x", "w": "y"})) == make_operation(
        progress=Progress(percent=5), etag="e"
    )
    least: dict[str, Scalar] = {name: columns[name] for name in ("id", "status", "created", "changed", "deadline")}
    operation = rows.from_row(as_row(least))
    assert (operation.fence, operation.progress, operation.outcome, operation.expires) == (0, None, None, None)
    assert (operation.keep, operation.input) == (timedelta(hours=24), Payload("", 0, ""))


def test_monitor_columns() -> None:
    """A monitor's read takes every column but the input's and the last error's."""
    assert set(rows.to_columns(make_operation())) - set(rows.MONITOR_COLUMNS) == {"input", "input_text", "last_error"}


def test_start_is_three_rows() -> None:
    """A start inserts record, active marker and list row, in one transaction that Azure takes."""
    changes = rows.insertions(make_operation())
    assert [type(change) for change in changes] == [Insert] * 3
    assert [change.key[:2] for change in changes] == ["o!", "a!", "l!"]
    check_transaction(make_operation().locator.partition, changes)


def test_heartbeat_is_one_small_merge() -> None:
    """A heartbeat touches the record alone, and neither payload nor outcome."""
    held = make_operation(status=Status.RUNNING, fence=1, etag="e1")
    (change,) = rows.updates(held, lifecycle.heartbeat(held, T0 + timedelta(seconds=10), fence=1))
    assert change == Merge(
        held.locator.record_key,
        {"changed": "2026-01-02T03:04:15.678901Z", "lease_until": "2026-01-02T03:04:45.678901Z"},
        if_match="e1",
    )
    (change,) = rows.updates(held, lifecycle.heartbeat(held, T0, fence=1, progress=Progress(percent=1)))
    assert isinstance(change, Merge)
    assert set(change.values) == {"lease_until", "progress"}


def test_claim_and_cancel_merge_two_rows() -> None:
    """A change of status is seen in the list by the same transaction."""
    new = make_operation(etag="e1")
    claimed = lifecycle.claim(new, T0, holder="h", timeout=timedelta(minutes=1))
    changes = rows.updates(new, claimed)
    assert [(type(change), change.key[:2]) for change in changes] == [(Merge, "o!"), (Merge, "l!")]
    changes = rows.updates(claimed, lifecycle.request_cancel(claimed, T0))
    assert [(type(change), change.key[:2]) for change in changes] == [(Merge, "o!"), (Merge, "l!")]
    assert isinstance(changes[1], Merge)
    assert changes[1].values["status"] == "Canceling"


def test_end_is_four_changes() -> None:
    """The end merges record and list row, deletes the active marker, inserts the expiry row, guarded by the etag."""
    held = make_operation(status=Status.RUNNING, fence=1, etag="e1")
    ended = lifecycle.succeed(held, T0, fence=1, outcome=Outcome(204))
    changes = rows.updates(held, ended)
    assert [(type(change), change.key[:2]) for change in changes] == [
        (Merge, "o!"),
        (Merge, "l!"),
        (Delete, "a!"),
        (Insert, "x!"),
    ]
    assert isinstance(changes[0], Merge)
    assert changes[0].if_match == "e1"
    assert changes[3].key == f"x!2026-01-03T03:04:05.678901Z!{ended.locator}"
    gone = rows.deletions(replace(ended, etag="e2"))
    assert [change.key for change in gone] == [changes[0].key, changes[1].key, changes[3].key]
    assert gone[0] == Delete(held.locator.record_key, if_match="e2")


@given(TIMES, TIMES, IDS, IDS)
def test_newest_first(one: datetime, other: datetime, id: str, other_id: str) -> None:
    """List rows sort by time, the newest first, and then by id."""
    keys = [rows.list_key(make_operation(id=i, created=at)) for i, at in ((id, one), (other_id, other))]
    if one != other:
        assert (keys[0] < keys[1]) == (one > other)
    assert all(len(key.split("!")) == 4 for key in keys)


@given(TIMES, TIMES)
def test_times_sort_as_text(one: datetime, other: datetime) -> None:
    """Written times compare as the moments do, and read as what was written."""
    assert (rows.write_time(one) < rows.write_time(other)) == (one < other)
    assert rows.read_time(rows.write_time(one)) == one


@given(IDS, TEXT, TIMES)
def test_keys_are_legal(id: str, owner: str, moment: datetime) -> None:
    """Every id we let in gives keys that Azure Tables holds, whoever owns it."""
    operation = make_operation(id=id, owner=owner, expires=moment)
    locator = operation.locator
    for key in (locator.record_key, locator.active_key, rows.list_key(operation), rows.expiry_key(operation)):
        check_key(key)
    assert locator.partition in PARTITIONS
    assert Locator.parse(str(locator)) == locator
    row = Row(locator.partition, rows.list_key(operation), {"kind": "k", "status": "Running"} | times(operation), "e")
    assert (rows.read_list_row(row).id, rows.read_list_row(row).position) == (id, row.key.split("!", 2)[2])


def times(operation: Operation) -> dict[str, str]:
    return {"created": rows.write_time(operation.created), "changed": rows.write_time(operation.changed)}


def test_locators_of_owners_differ() -> None:
    """The same id of two owners is two keys; what is no locator is refused."""
    assert Locator.of("a", "x").record_key != Locator.of("b", "x").record_key
    for text in ("", "x", "0123456789abcdef!", "0123456789abcdef!a:b", "0123456789ABCDEF!a"):
        try:
            Locator.parse(text)
        except ValueError:
            continue
        raise AssertionError(text)
