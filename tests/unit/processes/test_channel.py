"""What a handler in a process has of the app: over its channel, or not at all."""

import logging
import os
import signal
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from shared.model.operation import Status
from tests.support.arm_parts import path_of
from tests.support.parts import World
from tests.support.telemetry import recording
from tests.support.turns import no_garbage_of_others, watched
from tests.unit.processes.conftest import Processes
from tests.unit.runner.handlers import error_code

__all__ = ["no_garbage_of_others"]

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def processes(lasting_world: World, tmp_path: Path) -> Processes:
    """Processes of earlier tests run the handlers of later ones."""
    return Processes(lasting_world, tmp_path)


async def test_context(processes: Processes) -> None:
    """It has what a context in a thread has; of the settings all but how the store is reached."""
    secret = {"OPERATIONS_STORAGE": "AccountKey=secret", "MAX_WAIT_SECONDS": "7", "WEBSITE_HOSTNAME": "a.example"}
    world = World(processes.world.storage, *processes.world.actions.values(), settings=secret)
    here = Processes(world, processes.folder)
    shown: dict[str, Any] = await here.result("shows_its_context")
    threaded = await here.run("numbers:threaded", "shows_its_context")
    await world.processes.aclose()
    assert (shown["base_url"], shown["max_wait"], shown["storage"]) == ("https://a.example", 7, None)
    assert (shown["action"], shown["attempt"], shown["api_version"]) == ("numbers:talks", 1, "2026-01-01")
    assert shown["link"] == "https://a.example/a?api-version=2026-01-01&b=c"
    assert 0 < shown["time_left"] <= 300
    assert datetime.fromisoformat(shown["deadline"]).tzinfo is not None
    assert threaded.outcome is not None
    assert threaded.outcome.body is not None
    assert threaded.outcome.body.text is not None
    assert "secret" in threaded.outcome.body.text  # the app's own process has it


async def test_progress(processes: Processes) -> None:
    """The last report is stored; a loop that reports without end sends few of them."""
    ended = await processes.run("numbers:talks", "reports", 5000)
    assert ended.progress is not None
    assert (ended.progress.done, ended.progress.total, ended.progress.data) == (5000, 5000, {"at": 5000})


async def test_lines(processes: Processes, caplog: pytest.LogCaptureFixture) -> None:
    """Log lines and both streams arrive under the operation, each with its level, long ones in pieces."""
    caplog.set_level("INFO")
    await processes.world.processes.aclose()  # a process is told at its start which levels are logged
    ended = await processes.run("numbers:talks", "writes_lines")
    about = f"operation_id={ended.id} action=numbers:talks attempt=1: "
    lines = {record.getMessage(): record for record in caplog.records}
    warned = lines[f"{about}from the handler"]
    assert (warned.levelname, warned.name, warned.__dict__["mine"]) == ("WARNING", "shared.actions.handler", 1)
    assert warned.__dict__["taken"].startswith("<object object")
    assert lines[f"{about}from a library"].name == "tests.lines"
    assert not any("too low a level" in line for line in lines)
    for text in ("to stdout", "to stderr", "no end of line"):
        assert lines[f"{about}{text}"].__dict__["event"] == "handler_output"
    pieces = [line.removeprefix(about) for line in lines if line.startswith(f"{about}xxx")]
    assert (
        sum(map(len, [r.getMessage().removeprefix(about) for r in caplog.records if "xxx" in r.getMessage()])) == 20_000
    )
    assert max(map(len, pieces)) <= 8192
    (trace,) = [line for line in lines if "with a trace" in line]
    assert "KeyError: 'k'" in trace
    # What the first one has not ended is no part of the second one's lines.
    caplog.clear()
    other = await processes.run("numbers:talks", "writes_lines")
    assert all(other.id in record.getMessage() for record in caplog.records)


async def test_a_flood_of_lines_holds_nothing_up(processes: Processes, caplog: pytest.LogCaptureFixture) -> None:
    """However fast it writes, no turn of the loop takes longer than any other."""
    await processes.result("returns")
    logging.getLogger("shared.actions").setLevel("ERROR")
    try:
        async with watched(caplog):
            await processes.result("floods", 3000)
    finally:
        logging.getLogger("shared.actions").setLevel("NOTSET")


async def test_steps(processes: Processes) -> None:
    """A step that was done is done no more, in another process after the first one died."""
    world = processes.world
    started = await processes.start("numbers:talks", "charges_once")
    again = await world.run(started)
    assert again is not None
    world.clock.pass_by(seconds=10)
    await world.run(started)
    ended = await world.read(started)
    assert ended.outcome is not None
    assert ended.outcome.body is not None
    assert ended.outcome.body.text == '["receipt","receipt"]'
    assert (processes.notes, ended.steps, ended.attempt) == (["charged"], 1, 2)


async def test_checkpoints(processes: Processes) -> None:
    """`flush=True` returns once it is stored: who dies then goes on from it. A large one is a blob."""
    world = processes.world
    for value in ({"at": 7}, {"text": "x" * 100_000}):
        started = await processes.start("numbers:talks", "saves_and_dies", value)
        await world.run(started)
        died = await world.read(started)
        assert (died.failures, died.forgiven) == (1, 0)
        assert died.saved is not None
        assert (died.saved.blob is None) == (died.saved.size < 1000)
        world.clock.pass_by(seconds=10)
        await world.run(started)
        ended = await world.read(started)
        assert (ended.status, ended.attempt) == (Status.SUCCEEDED, 2)
    assert len(processes.notes) == 2


@pytest.mark.parametrize(
    ("does", "code"),
    [
        ("uses_a_bad_key", "InvalidStepKey"),
        ("uses_a_key_twice", "StepMismatch"),
        ("saves_too_much", "CheckpointTooLarge"),
    ],
)
async def test_mistakes_raise_in_the_handler(processes: Processes, does: str, code: str) -> None:
    """With the errors that they have in a thread."""
    assert await processes.result(does) == code


async def test_what_a_handler_has_left_behind(processes: Processes) -> None:
    """A thread that outlives its run touches nothing of the next operation in the same process; it is told to stop."""
    first = await processes.result("leaves_a_thread")
    ended = await processes.run("numbers:talks", "waits_for_two_notes")
    assert ended.outcome is not None
    assert ended.outcome.body is not None
    assert ended.outcome.body.text == str(first)
    assert processes.notes == ["the attempt is over: it does nothing more"] * 2
    assert ended.saved is not None
    assert (ended.saved.text, ended.progress and ended.progress.message) == ('"its own"', None)
    async with processes.world.storage.container("things").open("a") as reader:
        assert reader is None


async def test_lines_of_what_a_handler_has_left_behind(processes: Processes, caplog: pytest.LogCaptureFixture) -> None:
    """A line has the operation whose code has logged it, also while the process runs the next; where that is not known
    it has none, and never that of another."""
    first = await processes.run("numbers:talks", "leaves_a_thread_that_logs")
    caplog.clear()
    second = await processes.run("numbers:talks", "logs_beside_others")
    lines = {record.getMessage() for record in caplog.records if "by " in record.getMessage()}
    old, new = (f"operation_id={each.id} action=numbers:talks attempt=1: " for each in (first, second))
    assert lines == {
        f"{old}by the context, alone",
        "by a library, alone",
        f"{old}by the context, in its context",
        f"{old}by a library, in its context",
        f"{new}by a library, its own",
    }


@pytest.mark.parametrize("does", ["uses_a_table", "uses_external", "uses_resources"])
async def test_the_store_itself_is_not_there(processes: Processes, does: str) -> None:
    """A sentence says so, and names the way out."""
    ended = await processes.run("numbers:talks", does)
    assert error_code(ended) == "NotInProcess"
    assert ended.outcome is not None
    assert ended.outcome.error is not None
    assert "context.read_blob and context.write_blob" in ended.outcome.error.message


@pytest.mark.parametrize("action", ["numbers:talks", "numbers:threaded"])
@pytest.mark.parametrize("size", [0, 10, 3_000_000])
async def test_blobs_by_name(processes: Processes, action: str, size: int) -> None:
    """They are read and written whole, in a process as in a thread."""
    await processes.world.storage.container("things").delete("a/b")
    ended = await processes.run(action, "uses_blobs", size)
    assert ended.outcome is not None
    assert ended.outcome.body is not None
    assert ended.outcome.body.text == f"[null,{size}]"
    async with processes.world.storage.container("things").open("a/b") as reader:
        assert reader is not None
        assert (reader.info.size, reader.info.content_type) == (size, "text/plain")


@pytest.mark.parametrize("action", ["numbers:talks", "numbers:threaded"])
async def test_blobs_that_are_too_large(processes: Processes, action: str) -> None:
    """No more than MAX_UPLOAD_BYTES come into memory."""
    settings = {"MAX_UPLOAD_BYTES": "10"}
    world = World(processes.world.storage, *processes.world.actions.values(), settings=settings)
    ended = await Processes(world, processes.folder).run(action, "uses_blobs", 11)
    await world.processes.aclose()
    assert error_code(ended) == "BlobTooLarge"


async def test_what_the_store_raises(processes: Processes) -> None:
    """It is raised in the handler by its type, and so the attempt has failed."""
    world = processes.world
    await world.storage.container("things").delete("a/b")
    world.faults.puts.clear()
    started = await processes.start("numbers:talks", "uses_blobs", 10)
    put = world.faults.puts
    world.faults.at, world.faults.fault = world.faults.writes + 2, "down"  # the claim is one more
    await world.run(started)
    failed = await world.read(started)
    assert put == ["a/b"]
    assert failed.last_error is not None
    assert failed.last_error.message.startswith("The action failed unexpectedly (StorageUnavailable)")


async def test_locks(processes: Processes) -> None:
    """A lock that another operation holds is refused as in a thread; it is held until the operation has ended."""
    await processes.run("numbers:talks", "locks")
    held = await processes.start("numbers:talks", "locks")
    await processes.world.locks.take("book/1", held.locator, held.run_id)
    assert await processes.result("locks") == "OperationInProgress"


async def test_properties(processes: Processes) -> None:
    """Of a resource that the operation does not work on nothing is saved, and it is told so. What is no id raises."""
    resource = path_of("things", "t")
    assert await processes.result("saves_properties", resource) is False
    failed = await processes.run("numbers:talks", "saves_properties", "x")
    assert failed.last_error is not None
    assert failed.last_error.message.startswith("The action failed unexpectedly (ValueError)")


async def test_spans(processes: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    """The handler is a span of its attempt's trace, as in a thread; it has failed where the process has died."""
    with recording(monkeypatch) as recorded:
        await processes.result("returns")
        await processes.result("exits")
        await processes.result("raises")
    attempts, handlers = recorded.spans("attempt numbers:talks"), recorded.spans("handler numbers:talks")
    assert [span.parent and span.parent.span_id for span in handlers] == [span.context.span_id for span in attempts]
    assert [(span.attributes or {}).get("error.type") for span in handlers] == [
        None,
        "HandlerProcessDied",
        "ValueError",
    ]


async def test_what_it_imports(processes: Processes) -> None:
    """The app's actions, and neither the function app nor an SDK of Azure."""
    await processes.world.processes.aclose()  # no handler has run in the next one
    modules: list[str] = await processes.result("names_its_modules")
    assert "tests.support.computing.numbers" in modules
    heavy = {"azure", "function_app", "blueprints", "opentelemetry", "aiohttp", "sqlite3"}
    assert not [name for name in modules if name.partition(".")[0] in heavy]
    assert "shared.composition" not in modules


async def test_its_process(processes: Processes) -> None:
    """Niced, the first to go where memory runs out, out of reach of the terminal; with the app's folder and path.

    The system kills it with its app, also where native code lets no thread read the end of the channel.
    """
    shown: dict[str, Any] = await processes.result("shows_its_process")
    assert (shown["nice"], shown["oom"], shown["leads_its_session"]) == (os.nice(0) + 10, "1000", True)
    assert shown["signal_of_parent_death"] == signal.SIGKILL
    assert shown["folder"] == str(Path.cwd())
    assert shown["path"] == [str(each) for each in sys.path]


@pytest.mark.parametrize("does", ["returns_a_file", "returns_pieces", "writes_a_file"])
async def test_files(processes: Processes, does: str) -> None:
    """A file goes to the store piece by piece, and nothing stays of one that is not the result."""
    ended = await processes.run("numbers:files", does, 3_000_000)
    assert ended.status is Status.SUCCEEDED, ended.outcome
    assert ended.outcome is not None
    body = ended.outcome.body
    assert body is not None
    assert (body.size, body.content_type, body.file_name) == (3_000_000, "text/plain", "x.txt")
    assert await processes.world.records.load_payload(body) == b"x" * 3_000_000
    assert await processes.world.records.blobs(f"{ended.run_id}/") == [body.blob]


@pytest.mark.parametrize(
    ("does", "code"),
    [
        ("dies_over_a_file", "HandlerProcessDied"),
        ("leaves_a_file_open", "InvalidFile"),
        ("returns_no_file", "InvalidResult"),
    ],
)
async def test_files_that_are_none(processes: Processes, does: str, code: str) -> None:
    """The operation fails with the reason, and nothing of the file is left."""
    ended = await processes.run("numbers:files", does)
    assert error_code(ended) == code
    assert await processes.world.records.blobs(f"{ended.run_id}/") == []


async def test_a_file_of_another_operation(processes: Processes) -> None:
    """It would go with the other one's record: so it is no result, and a sentence says so."""
    assert (await processes.run("numbers:files", "returns_its_first_file", 100_000)).status is Status.SUCCEEDED
    assert error_code(await processes.run("numbers:files", "returns_its_first_file", 100_000)) == "InvalidFile"


async def test_files_have_a_limit(processes: Processes) -> None:
    """That of the app, while it is written."""
    small = {"MAX_FILE_BYTES": "1000000"}
    world = World(processes.world.storage, *processes.world.actions.values(), settings=small)
    ended = await Processes(world, processes.folder).run("numbers:files", "writes_a_file", 3_000_000)
    await world.processes.aclose()
    assert error_code(ended) == "FileTooLarge"
