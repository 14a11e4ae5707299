"""A monitor is written once for each state of a record, and never shown for another one."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from shared.actions import ActionContext, action
from shared.actions.registry import Registry
from shared.composition import Application
from shared.contracts.http import Request, Response
from shared.endpoints.caching import ShownMonitors
from shared.model.operation import NO_PAYLOAD, Operation, Status
from shared.operations.recent import Recent
from tests.support.parts import Input, RecordingEngine, settings, sqlite

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


@action("test:shown", post="things/{id}:shown")
async def shown_action(context: ActionContext, request: Input) -> None: ...


@action("test:linked", post="things/{id}:linked", result="link")
async def linked_action(context: ActionContext, request: Input) -> str:
    return "a result"


async def test_polls_of_an_unchanged_record(tmp_path: Path) -> None:
    """The second one is the answer of the first, but where it is made for its caller: it has a link for him."""
    async with sqlite(tmp_path) as storage:
        app = Application(Registry([shown_action, linked_action]), settings=settings(tmp_path), storage=storage)
        engine = RecordingEngine()
        for declared, is_shown_again in ((shown_action, True), (linked_action, False)):
            start = Request(
                method="POST", url=f"http://h/things/1:{declared.name}", route={"id": "1"}, body=b'{"fileName":"a"}',
                headers={"content-type": "application/json"},
            )  # fmt: skip
            started = await app.data_plane.start(start, declared, engine)
            id = started.headers["Operation-Id"]
            await app.runner.run(engine.started[-1][1])
            poll = Request(method="GET", url=f"http://h/status/{id}", route={"operation_id": id})
            answers = [await app.data_plane.status(poll, engine) for _ in range(2)]
            assert [b'"Succeeded"' in each.body for each in answers] == [True, True]
            assert (answers[0].body is answers[1].body) == is_shown_again
