"""A monitor is written once for each state of a record, and never shown for another one."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.contracts.http import Request, Response
from shared.endpoints.caching import ShownMonitors
from shared.model.operation import NO_PAYLOAD, Operation, Status
from shared.operations.recent import Recent

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GET = Request(method="GET", url="http://h/status/o")
POST = Request(method="POST", url="http://h/status/o:cancel")


def operation(**changes: Any) -> Operation:
    record = Operation(
        id="o", owner="", run_id="1", action="a", method="POST", path="x", api_version="", fingerprint="",
        input=NO_PAYLOAD, created=NOW, changed=NOW, deadline=NOW, keep=timedelta(days=1), retry_after=1,
    )  # fmt: skip
    return replace(record, **changes)


def answer(body: bytes = b"{}") -> Response:
    return Response(status=200, body=body, content_type="application/json")


async def test_shown_again_for_the_same_value_alone() -> None:
    """A record that was read anew because it has changed is another value, and so is one of a later run."""
    shown, running = ShownMonitors(), operation(status=Status.RUNNING)
    assert shown.get(GET, running) is None
    first = await shown.put(GET, running, answer())
    assert shown.get(GET, running) is first
    assert "ETag" not in first.headers
    assert shown.get(GET, replace(running)) is None
    assert shown.get(GET, operation(run_id="2")) is None


async def test_an_ended_one_has_an_etag_for_get_alone() -> None:
    """Other methods show the monitor, too, and their answers are no business of caches."""
    shown, ended = ShownMonitors(), operation(status=Status.SUCCEEDED)
    first = await shown.put(POST, ended, answer())
    assert "ETag" not in first.headers
    again = shown.get(GET, ended)
    assert again is not None
    assert "ETag" in again.headers
    known = replace(GET, headers={"if-none-match": again.headers["ETag"]})
    unchanged = shown.get(known, ended)
    assert unchanged is not None
    assert (unchanged.status, unchanged.body) == (304, b"")
    plain = shown.get(POST, ended)
    assert plain is not None
    assert "ETag" not in plain.headers


async def test_large_ones_are_not_kept() -> None:
    shown, ended = ShownMonitors(), operation(status=Status.SUCCEEDED)
    assert "ETag" in (await shown.put(GET, ended, answer(b"x" * 20_000))).headers
    assert shown.get(GET, ended) is None


def test_as_many_as_there_is_room_for() -> None:
    recent: Recent[int, str] = Recent(2)
    for key, value in ((1, "a"), (2, "b"), (1, "c"), (3, "d")):
        recent.put(key, value)
    assert [recent.get(key) for key in (1, 2, 3)] == ["c", None, "d"]
