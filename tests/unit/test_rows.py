"""An operation as rows: there and back, the smallest writes, keys that sort and that Azure takes."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.contracts.labels import LABEL_PATTERN
from shared.errors import ErrorBody, ErrorDetail
from shared.model import lifecycle
from shared.model.attempts import AttemptOutcome, AttemptRecord
from shared.model.ids import ID_PATTERN, PARTITIONS, Locator
from shared.model.operation import Operation, Outcome, Payload, Progress, Status
from shared.operations import list_rows, rows
from shared.operations.remains import postponement
from shared.storage.limits import check_key, check_transaction
from shared.storage.ports import Delete, Insert, Merge, Row, Scalar
from tests.support.parts import LEASES, T0, make_operation

FROZEN = Path(__file__).parents[1] / "data" / "rows-v3.json"

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
ATTEMPTS = st.builds(
    AttemptRecord,
    number=COUNTS,
    began=TIMES,
    instance=TEXT,
    ended=st.none() | TIMES,
    outcome=st.none() | st.sampled_from(AttemptOutcome),
    code=TEXT,
    message=TEXT,
)
OPERATIONS = st.builds(
    Operation,
    id=IDS,
    owner=TEXT,
    run_id=TEXT,
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
    losses=COUNTS,
    attempts=st.lists(ATTEMPTS, max_size=3).map(tuple),
    fence=COUNTS,
    holder=TEXT,
    saved=st.none() | PAYLOADS,
    waiting_for=TEXT,
    **dict.fromkeys(("forgiven", "saved_fence", "idle_slices", "steps", "purged"), COUNTS),
    **{
        name: st.none() | TIMES
        for name in (
            "scheduled",
            "waiting_since",
            "look_at",
            "started",
            "ended",
            "not_before",
            "lease_until",
            "attempt_deadline",
            "unknown_since",
            "misfit_since",
            "expires",
        )
    },
    progress=st.none() | PROGRESS,
    outcome=st.none() | OUTCOMES,
    last_error=st.none() | ERRORS,
    listed_for_all=st.booleans(),
    retry_of=st.just("") | IDS,
    input_version=COUNTS,
    labels=st.lists(st.from_regex(LABEL_PATTERN, fullmatch=True).filter(str.isascii), max_size=5).map(tuple),
    etag=st.just("e"),
)


def as_row(columns: dict[str, Scalar]) -> Row:
    """What a store gives back: through JSON, as every adapter sends it."""
    return Row("0", "o!x", json.loads(json.dumps(columns)), "e")


def all_columns() -> set[str]:
    """Those that are written, set or not."""
    operation = make_operation()
    written = {name: columns_of(name, getattr(operation, name)) for name, columns_of in rows._WRITERS.items()}
    return {"v", *(column for columns in written.values() for column in columns)}


@settings(max_examples=50)
@given(OPERATIONS)
def test_there_and_back(operation: Operation) -> None:
    """Whatever an operation holds, its columns give it back."""
    assert rows.from_row(as_row(rows.to_columns(operation))) == operation


@settings(max_examples=50)
@given(OPERATIONS, OPERATIONS)
def test_a_merge_leads_from_any_state_to_any_other(old: Operation, new: Operation) -> None:
    """Merging an update's columns over the stored ones gives the new operation and nothing of the old."""
    old = replace(old, expires=old.expires or old.created)
    new = replace(new, id=old.id, owner=old.owner, created=old.created, expires=new.expires or new.created)
    fixed = ("labels", "listed_for_all", "retry_of", "input_version")
    new = replace(new, **{name: getattr(old, name) for name in fixed})
    change = rows.updates(old, new)[0]
    assert isinstance(change, Merge)
    assert rows.from_row(as_row({**rows.to_columns(old), **change.values})) == new


def test_frozen_rows_keep_loading() -> None:
    """Rows as version 3 wrote them load as what they meant then. Never edit that file: add to it."""
    for case in json.loads(FROZEN.read_text(encoding="utf-8")):
        operation = rows.from_row(Row("0", case["key"], case["columns"], "e"))
        for name, value in case["means"].items():
            found: Any = operation
            for part in name.split("."):
                found = getattr(found, part)
            assert (rows.write_time(found) if isinstance(found, datetime) else found) == value, name
        assert case["columns"]["v"] == 3
        if operation.status.is_terminal:
            remains = rows.Remains.of(operation, T0)
            removal = rows.removal(operation, remains)
            assert [change.key for change in removal] == [*case["keys"], remains.key]


def test_columns_are_those_of_the_frozen_rows() -> None:
    """A column that is renamed or dropped is a new schema version."""
    cases = [case["columns"] for case in json.loads(FROZEN.read_text(encoding="utf-8"))]
    written = all_columns()
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
    """A monitor's read takes every column but the input's and the checkpoint's."""
    left = all_columns() - set(rows.MONITOR_COLUMNS)
    assert left == {"input", "input_text", "saved", "saved_text"}


def test_start_is_three_rows() -> None:
    """A start inserts record, active marker and list row, in one transaction that Azure takes."""
    changes = rows.insertions(make_operation())
    assert [type(change) for change in changes] == [Insert] * 3
    assert [change.key[:2] for change in changes] == ["o!", "a!", "l!"]
    check_transaction(make_operation().locator.partition, changes)
    record = changes[0]
    assert isinstance(record, Insert)
    assert "" not in record.values.values()
    assert rows.from_row(as_row(dict(record.values))) == make_operation(etag="e")


def test_a_row_for_lists_over_all_owners() -> None:
    """Where the operation says so, it is written, merged and removed in the transactions of the list row."""
    new = make_operation(etag="e1", listed_for_all=True)
    inserted = rows.insertions(new)
    assert [change.key[:2] for change in inserted] == ["o!", "a!", "l!", "g!"]
    own, everybody = inserted[2:]
    assert isinstance(own, Insert)
    assert isinstance(everybody, Insert)
    assert own.values == everybody.values
    row = list_rows.read_list_row(Row("0", everybody.key, everybody.values, "e"))
    assert row == replace(list_rows.read_list_row(Row("0", own.key, own.values, "e")), position=everybody.key[2:])
    assert row.position == list_rows.list_row(new, for_all=True).position
    claimed = lifecycle.claim(new, T0, holder="h", timeout=timedelta(minutes=1), leases=LEASES)
    assert [change.key[:2] for change in rows.updates(new, claimed)] == ["o!", "l!", "g!"]
    ended = lifecycle.succeed(claimed, T0, fence=1, outcome=Outcome(204))
    changes = rows.updates(claimed, ended)
    assert [change.key[:2] for change in changes] == ["o!", "l!", "g!", "a!", "t!"]
    removal = rows.removal(ended, rows.Remains.of(ended, T0))
    assert Delete(everybody.key) in removal
    check_transaction(new.locator.partition, removal)


def test_heartbeat_is_one_small_merge() -> None:
    """A heartbeat touches the record alone, and neither payload nor outcome."""
    held = make_operation(status=Status.RUNNING, fence=1, holder="h", etag="e1")
    (change,) = rows.updates(held, lifecycle.heartbeat(held, T0 + timedelta(seconds=10), fence=1, leases=LEASES))
    assert change == Merge(
        held.locator.record_key,
        {"changed": "2026-01-02T03:04:15.678901Z", "lease_until": "2026-01-02T03:04:45.678901Z"},
        if_match="e1",
    )
    (change,) = rows.updates(held, lifecycle.heartbeat(held, T0, fence=1, leases=LEASES, progress=Progress(percent=1)))
    assert isinstance(change, Merge)
    assert set(change.values) == {"lease_until", "progress"}


def test_claim_and_cancel_merge_two_rows() -> None:
    """A change of status is seen in the list by the same transaction."""
    new = make_operation(etag="e1")
    claimed = lifecycle.claim(new, T0, holder="h", timeout=timedelta(minutes=1), leases=LEASES)
    changes = rows.updates(new, claimed)
    assert [(type(change), change.key[:2]) for change in changes] == [(Merge, "o!"), (Merge, "l!")]
    changes = rows.updates(claimed, lifecycle.request_cancel(claimed, T0))
    assert [(type(change), change.key[:2]) for change in changes] == [(Merge, "o!"), (Merge, "l!")]
    assert isinstance(changes[1], Merge)
    assert changes[1].values["status"] == "Canceling"


def test_attempts_are_written_with_their_claim_and_their_end() -> None:
    """A retry and the next claim merge the record alone; eleven attempts with long texts are some kilobytes."""
    claimed = make_operation(etag="e1")
    operation = lifecycle.claim(claimed, T0, holder="h", timeout=timedelta(minutes=1), leases=LEASES)
    error = ErrorBody("C" * 100, "m" * 1000)
    for _ in range(12):
        waiting = lifecycle.retry_later(operation, T0, fence=operation.fence, not_before=T0, error=error)
        (change,) = rows.updates(operation, waiting)
        assert isinstance(change, Merge)
        assert {"attempts", "failures"} <= set(change.values)
        operation = lifecycle.claim(waiting, T0, holder="h", timeout=timedelta(minutes=1), leases=LEASES)
        (change,) = rows.updates(waiting, operation)
        assert isinstance(change, Merge)
    assert 3000 < len(str(change.values["attempts"])) < 6000


def test_end_is_four_changes() -> None:
    """The end merges record and list row, deletes the active marker, inserts the expiry row, guarded by the etag."""
    held = make_operation(status=Status.RUNNING, fence=1, holder="h", etag="e1")
    ended = lifecycle.succeed(held, T0, fence=1, outcome=Outcome(204))
    changes = rows.updates(held, ended)
    assert [(type(change), change.key[:2]) for change in changes] == [
        (Merge, "o!"),
        (Merge, "l!"),
        (Delete, "a!"),
        (Insert, "t!"),
    ]
    assert isinstance(changes[0], Merge)
    assert changes[0].if_match == "e1"
    assert changes[3].key == f"t!2026-01-03T03:04:05.678901Z!{ended.locator}!expire"


@pytest.mark.parametrize("has_hooks", [False, True])
def test_removal_is_one_transaction(has_hooks: bool) -> None:
    """A removal deletes record, list row and expiry row, guarded by the etag, and inserts what says what is left."""
    ended = lifecycle.succeed(
        make_operation(status=Status.RUNNING, fence=1, holder="h"), T0, fence=1, outcome=Outcome(204)
    )
    remains = rows.Remains.of(ended, T0, has_hooks=has_hooks)
    changes = rows.removal(replace(ended, etag="e2"), remains)
    assert changes[:3] == [
        Delete(ended.locator.record_key, if_match="e2"),
        Delete(list_rows.list_key(ended)),
        Delete(rows.expiry_key(ended)),
    ]
    assert isinstance(changes[3], Insert)
    check_transaction(ended.locator.partition, changes)
    assert rows.read_due_row(Row(ended.locator.partition, changes[3].key, changes[3].values, "e")) == remains
    assert rows.read_due_row(Row(ended.locator.partition, rows.expiry_key(ended), {}, "e")) == ended.locator
    assert (remains.hooked is not None) == has_hooks
    later = T0 + timedelta(hours=1)
    delete, insert = postponement(remains, later)
    assert isinstance(insert, Insert)
    assert (delete.key, insert.key > delete.key) == (remains.key, True)
    found = rows.read_due_row(Row(ended.locator.partition, insert.key, insert.values, "e"))
    assert found == replace(remains, due=later)
    assert found == rows.read_due_row(Row(ended.locator.partition, insert.key, {**insert.values, "new": 1}, "e"))


def test_remains_of_an_older_version() -> None:
    """A row without the columns of hooks and steps is one that has none of them."""
    key = f"t!2026-01-03T03:04:05.678901Z!{make_operation().locator}!clear!{'1' * 32}"
    found = rows.read_due_row(Row("0", key, {"generations": 2, "blobs": '["r/input"]'}, "e"))
    assert isinstance(found, rows.Remains)
    assert (found.key, found.blobs, found.hooked) == (key, ("r/input",), None)
    assert found.removed == rows.read_time("2026-01-03T03:04:05.678901Z")


BODY = Payload("application/json", 50_000, "0" * 64, blob="r/result-2")


@pytest.mark.parametrize(
    ("changes", "generations", "blobs", "more"),
    [
        ({"status": Status.SUCCEEDED, "generation": 3, "fence": 1, "outcome": Outcome(200)}, 3, (), False),
        ({"status": Status.SUCCEEDED, "fence": 1, "outcome": Outcome(200, body=BODY)}, 1, ("r/result-2",), False),
        ({"status": Status.SUCCEEDED, "fence": 2, "outcome": Outcome(200, body=BODY)}, 1, ("r/result-2",), True),
        ({"status": Status.SUCCEEDED, "fence": 1, "saved": BODY}, 1, (), True),
        ({"status": Status.SUCCEEDED, "fence": 1, "steps": 2}, 1, (), True),
        ({"status": Status.FAILED, "fence": 2}, 1, (), True),
        ({"status": Status.CANCELED}, 1, (), False),
        ({"status": Status.CANCELED, "input": replace(BODY, blob="r/input")}, 1, ("r/input",), False),
        ({"status": Status.CANCELED, "external": True}, 0, (), False),
    ],
    ids=str,
)
def test_what_a_removed_operation_has_left(
    changes: dict[str, Any], generations: int, blobs: tuple[str, ...], more: bool
) -> None:
    """An instance for each start, none where it was delegated; payloads that are blobs, also those that nobody names.

    Of several claims each may have stored a result before it was lost. A start may still be on its way, unless the only
    one was claimed.
    """
    operation = make_operation(**changes, ended=T0)
    remains = rows.Remains.of(operation, T0)
    assert (remains.generations, remains.blobs, remains.all_blobs) == (generations, blobs, more)
    assert remains.steps == operation.steps
    arrived = operation.external or (operation.generation, operation.fence > 0) == (1, True)
    assert remains.open_since == (None if arrived else T0)
    numbered = [replace(operation, generation=number) for number in range(1, generations + 1)]
    assert remains.instance_ids == [each.instance_id for each in numbered]
    purged = rows.Remains.of(replace(operation, purged=2), T0)
    assert purged.instance_ids == [each.instance_id for each in numbered[2:]]


@given(TIMES, TIMES, IDS, IDS)
def test_newest_first(one: datetime, other: datetime, id: str, other_id: str) -> None:
    """List rows sort by time, the newest first, and then by id."""
    keys = [list_rows.list_key(make_operation(id=i, created=at)) for i, at in ((id, one), (other_id, other))]
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
    remains = rows.Remains.of(operation, moment)
    for key in (
        *(locator.record_key, locator.active_key, list_rows.list_key(operation), rows.expiry_key(operation)),
        remains.key,
    ):
        check_key(key)
    assert locator.partition in PARTITIONS
    assert Locator.parse(str(locator)) == locator
    row = Row(
        locator.partition, list_rows.list_key(operation), {"kind": "k", "status": "Running"} | times(operation), "e"
    )
    assert (list_rows.read_list_row(row).id, list_rows.read_list_row(row).position) == (id, row.key.split("!", 2)[2])


@settings(max_examples=50)
@given(OPERATIONS)
def test_a_list_shows_the_same_by_its_row_and_by_the_record(operation: Operation) -> None:
    """A row of the list says what the record itself says, but for how far that is and when it last changed."""
    operation = replace(operation, expires=operation.expires or operation.created)
    (listed,) = (each for each in rows.insertions(operation) if each.key.startswith("l!"))
    assert isinstance(listed, Insert)
    row = list_rows.read_list_row(Row("0", listed.key, json.loads(json.dumps(listed.values)), "e"))
    assert row == replace(list_rows.list_row(operation), percent=None, is_read_itself=False)


def test_list_rows_of_an_older_version() -> None:
    """A list row without the columns of later versions is one that has none of them."""
    operation = make_operation()
    row = Row("0", list_rows.list_key(operation), {"kind": "k", "status": "Running"} | times(operation), "e")
    found = list_rows.read_list_row(row)
    assert (found.attempt, found.started, found.error_code, found.labels) == (0, None, "", ())


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
