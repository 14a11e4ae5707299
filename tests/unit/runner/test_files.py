"""Files as results: how they are stored while they are written, and what is left of those that come to nothing."""

import asyncio
import json
import threading
import tracemalloc
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from shared.actions import ActionContext, ActionFailed, File, ResultFile, Retry, SyncActionContext
from shared.errors import StorageError
from shared.model.operation import Operation, Status
from tests.support.parts import Fault, Input, Killed, World
from tests.unit.runner.handlers import claim_elsewhere, error_code, until

CSV = b"id;title\n1;Moby Dick\n"
LARGE = bytes(range(256)) * 4 * 1024 * 3 + b"tail"  # 3 MiB and a bit


async def blobs(world: World, operation: Operation) -> list[str]:
    names = await world.storage.container("operations").list(f"{operation.run_id}/")
    return sorted(name.rpartition("/")[2] for name in names)


async def content(world: World, operation: Operation) -> bytes | None:
    _, found = await world.service.result("", operation.id)
    return found


async def write_csv(context: ActionContext, request: Input) -> File:
    async with context.result_file(file_name="books.csv", content_type="text/csv; charset=utf-8") as file:
        for line in CSV.splitlines(keepends=True):
            await file.write(line)
    return file


def write_zip(context: SyncActionContext, request: Input) -> File:
    with context.result_file(content_type="application/zip") as file, zipfile.ZipFile(file, "w") as archive:  # type: ignore[arg-type] - it has what ZipFile uses
        archive.writestr("large", LARGE)
    return file


async def test_written_piece_by_piece(make: Callable[..., World]) -> None:
    """The result tells what the file is, and where it is read; the file itself has the bytes that were written."""
    world = make(write_csv)
    started = await world.start()
    await world.run(started)
    ended = await world.read(started)
    assert ended.status is Status.SUCCEEDED
    told: Any = json.loads(await world.service.result_content(ended) or b"")
    assert told.pop("downloadUrl").startswith("http://127.0.0.1:7071/devstoreaccount1/")
    assert told == {
        "fileName": "books.csv",
        "contentType": "text/csv; charset=utf-8",
        "size": len(CSV),
        "sha256": sha256(CSV).hexdigest(),
        "downloadUrlExpiresAt": f"{world.clock.now() + timedelta(minutes=15):%Y-%m-%dT%H:%M:%SZ}",
    }
    assert await content(world, started) == CSV
    assert await blobs(world, started) == ["file-1-1"]


async def test_written_by_a_thread(make: Callable[..., World]) -> None:
    """A `def` handler writes it too, by whatever wants a file to write to."""
    world = make(write_zip)
    started = await world.start()
    await world.run(started)
    ended = await world.read(started)
    assert ended.file is not None
    assert ended.file.file_name == "result.zip"
    archive = zipfile.ZipFile(BytesIO(await content(world, started) or b""))
    assert archive.read("large") == LARGE


def _generator() -> Iterator[bytes]:
    for at in range(0, len(LARGE), 100_000):
        yield LARGE[at : at + 100_000]


async def _async_generator() -> AsyncIterator[bytes]:
    for piece in _generator():
        await asyncio.sleep(0)
        yield piece


@pytest.mark.parametrize("kind", ["bytes", "path", "generator", "async generator", "nothing"])
@pytest.mark.parametrize("is_async", [True, False])
async def test_returned(make: Callable[..., World], tmp_path: Path, kind: str, is_async: bool) -> None:
    """`return File(...)` takes bytes, a file, and pieces one after another; what blocks is read in a thread."""
    (tmp_path / "large").write_bytes(LARGE)
    expected = b"" if kind == "nothing" else LARGE

    def made() -> File:
        given: Any = {
            "bytes": LARGE,
            "path": tmp_path / "large",
            "generator": _generator(),
            "async generator": _async_generator(),
            "nothing": iter(()),
        }
        return File(given[kind], file_name="a.bin")

    async def handler(context: ActionContext, request: Input) -> File:
        return made()

    def in_a_thread(context: SyncActionContext, request: Input) -> File:
        return made()

    world = make(handler if is_async else in_a_thread)
    started = await world.start()
    await world.run(started)
    ended = await world.read(started)
    assert ended.file is not None
    assert (ended.file.size, ended.file.sha256) == (len(expected), sha256(expected).hexdigest())
    assert await content(world, started) == expected


async def test_flat_memory(make: Callable[..., World]) -> None:
    """200 MB go through in blocks, whoever makes them."""
    block, number = b"x" * 1_000_000, 200

    async def handler(context: ActionContext, request: Input) -> File:
        async with context.result_file() as file:
            for _ in range(number):
                await file.write(block)
        return file

    world = make(handler)
    started = await world.start()
    tracemalloc.start()
    try:
        await world.run(started)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    ended = await world.read(started)
    assert ended.file is not None
    assert ended.file.size == 200_000_000
    assert peak < 20_000_000


async def test_what_raises_leaves_nothing(make: Callable[..., World]) -> None:
    """A block that raises has written nothing; a handler that raises after it has the file removed."""

    async def in_the_block(context: ActionContext, request: Input) -> File:
        async with context.result_file() as file:
            await file.write(LARGE)
            raise ActionFailed("No", "no")
        return file

    async def after_it(context: ActionContext, request: Input) -> File:
        async with context.result_file() as file:
            await file.write(LARGE)
        raise ActionFailed("No", "no")

    for handler in (in_the_block, after_it):
        world = make(handler)
        started = await world.start()
        await world.run(started)
        assert error_code(await world.read(started)) == "No"
        assert await blobs(world, started) == []


async def test_several(make: Callable[..., World]) -> None:
    """The one that is returned is the result; the others go."""

    async def handler(context: ActionContext, request: Input) -> File:
        files: list[ResultFile] = []
        for number in range(3):
            async with context.result_file() as file:
                await file.write(bytes([number]))
            files.append(file)
        return files[1]

    world = make(handler)
    started = await world.start()
    await world.run(started)
    assert await content(world, started) == b"\x01"
    assert await blobs(world, started) == ["file-1-2"]


async def test_next_attempt_writes_anew(make: Callable[..., World]) -> None:
    """An attempt that dies with a whole file, and one that does with half of it, leave nothing beside the result."""
    attempts: list[int] = []

    async def handler(context: ActionContext, request: Input) -> File:
        attempts.append(context.attempt)
        async with context.result_file() as file:
            await file.write(LARGE if len(attempts) == 2 else CSV)
        if len(attempts) == 1:
            await asyncio.Event().wait()
        return file

    world = make(handler)
    started = await world.start()
    running = asyncio.create_task(world.run(started))
    async with asyncio.timeout(20):
        while await blobs(world, started) != ["file-1-1"]:  # noqa: ASYNC110 - what is waited for is in the store
            await asyncio.sleep(0.005)
    # Another instance takes it over and dies as well.
    world.clock.pass_by(minutes=10)
    await claim_elsewhere(world, started)
    await world.storage.container("operations").put(f"{started.run_id}/file-2-1", b"2", content_type="a/b")
    running.cancel()
    await asyncio.wait({running})
    world.clock.pass_by(minutes=10)
    another = world.restarted()
    await another.tidy()
    another.clock.pass_by(minutes=10)
    await another.run(started)
    ended = await another.read(started)
    assert ended.status is Status.SUCCEEDED
    assert await content(another, started) == LARGE
    assert await blobs(another, started) == [f"file-{ended.fence}-1"]


@pytest.mark.parametrize("fault", ["kill", "kill-before", "lost", "lost-before", "down"])
@pytest.mark.parametrize("at", range(1, 4), ids=["claim", "file", "end"])
async def test_any_failing_write(make: Callable[..., World], at: int, fault: Fault) -> None:
    """Whatever write fails: at the end the result is whole, and nothing lies beside it."""
    world = make(write_csv, retry=Retry(max_attempts=3))
    started = await world.start()
    world.faults.at, world.faults.fault, world.faults.kills_process = world.faults.writes + at, fault, True
    with suppress(Killed, StorageError):
        await world.carry_out(world.run(started))
    assert world.faults.writes >= world.faults.at, "nothing has gone wrong"
    another = world.restarted()
    for _ in range(4):
        another.clock.pass_by(minutes=10)
        await another.tidy()
        stored = await another.read(started)
        if stored.status.is_terminal:
            break
        await another.run(stored)
    assert (await another.read(started)).status is Status.SUCCEEDED
    assert await content(another, started) == CSV
    fence = (await another.read(started)).fence
    assert await blobs(another, started) == [f"file-{fence}-1"]
    await another.delete(started)
    for _ in range(2):  # what was killed has left an orchestration that has not ended: the first pass ends it
        another.clock.pass_by(minutes=2)
        await another.tidy()
    assert await blobs(another, started) == []
    assert await another.keys() == []


async def test_removed_with_its_record(make: Callable[..., World]) -> None:
    """DELETE takes the file, and whatever else lies below the run."""
    world = make(write_csv)
    started = await world.start()
    await world.run(started)
    await world.storage.container("operations").put(f"{started.run_id}/file-9-1", b"late", content_type="a/b")
    await world.delete(started)
    assert await blobs(world, started) == []


async def test_too_large(make: Callable[..., World]) -> None:
    """Above MAX_FILE_BYTES the operation ends, is not tried again, and keeps nothing."""

    async def handler(context: ActionContext, request: Input) -> File:
        return File(iter([b"x" * 600, b"x" * 401]))

    world = make(handler, retry=3, settings={"MAX_FILE_BYTES": "1000"})
    started = await world.start()
    await world.run(started)
    ended = await world.read(started)
    assert (ended.status, error_code(ended)) == (Status.FAILED, "FileTooLarge")
    assert await blobs(world, started) == []


async def test_too_large_for_an_answer(make: Callable[..., World]) -> None:
    """Above 32 MiB the bytes are had by the URL alone."""

    async def handler(context: ActionContext, request: Input) -> File:
        return File(b"x" * 1_000_000 for _ in range(34))

    world = make(handler)
    started = await world.start()
    await world.run(started)
    with pytest.raises(Exception, match="downloadUrl") as caught:
        await content(world, started)
    assert (caught.value.status, caught.value.code) == (409, "UseDownloadUrl")  # type: ignore[attr-defined]


async def test_storage_away(make: Callable[..., World]) -> None:
    """A file that the store did not take is a failed attempt, which is tried again."""
    given: list[int] = []

    async def handler(context: ActionContext, request: Input) -> File:
        given.append(1)
        async with context.result_file() as file:
            world.faults.at, world.faults.fault = (world.faults.writes + 1 if len(given) == 1 else 0), "down"
            await file.write(LARGE)
        return file

    world = make(handler, retry=Retry(max_attempts=2))
    started = await world.start()
    again = await world.run(started)
    assert again is not None
    assert (await world.read(started)).last_error is not None
    assert (await world.read(started)).last_error.code == "ResultNotStored"  # type: ignore[union-attr]
    world.clock.pass_by(minutes=1)
    await world.run(started)
    assert await content(world, started) == LARGE


async def test_canceled_in_the_middle(make: Callable[..., World]) -> None:
    """A cancel stops the writing, and nothing is kept."""
    begun = asyncio.Event()

    async def handler(context: ActionContext, request: Input) -> File:
        async with context.result_file() as file:
            await file.write(LARGE)
            begun.set()
            await asyncio.Event().wait()
        return file

    world = make(handler)
    started = await world.start()
    running = asyncio.create_task(world.run(started))
    await begun.wait()
    await world.service.cancel("", started.id)
    await running
    assert (await world.read(started)).status is Status.CANCELED
    assert await blobs(world, started) == []


Mistake = Callable[[ActionContext], Any]


async def after_its_block(context: ActionContext) -> File:
    async with context.result_file() as file:
        await file.write(b"a")
    await file.write(b"b")
    return file


async def before_its_block(context: ActionContext) -> File:
    file = context.result_file()
    await file.write(b"a")
    return file


async def never_begun(context: ActionContext) -> File:
    return context.result_file()


async def raised_inside(context: ActionContext) -> File:
    file = context.result_file()
    try:
        async with file:
            raise ValueError
    except ValueError:
        return file


async def begun_twice(context: ActionContext) -> File:
    async with context.result_file() as file:
        pass
    async with file:
        pass
    return file


async def written_text(context: ActionContext) -> File:
    async with context.result_file() as file:
        await file.write("text")  # type: ignore[arg-type]
    return file


async def pieces_of_text(context: ActionContext) -> File:
    return File(iter(["text"]))  # type: ignore[arg-type]


async def a_text(context: ActionContext) -> File:
    return File("text")  # type: ignore[arg-type]


async def a_path_in_the_name(context: ActionContext) -> File:
    return File(b"", file_name="../books.csv")


async def a_header_in_the_type(context: ActionContext) -> File:
    return File(b"", content_type="text/csv\r\nX: y")


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        (after_its_block, "in its own `with` block"),
        (before_its_block, "in its own `with` block"),
        (never_begun, "after its `with` block"),
        (raised_inside, "after its `with` block"),
        (begun_twice, "begun twice"),
        (written_text, r"\.encode\(\)"),
        (pieces_of_text, r"\.encode\(\)"),
        (a_text, "of type str"),
        (a_path_in_the_name, "without a path"),
        (a_header_in_the_type, "media type"),
    ],
)
async def test_mistakes(make: Callable[..., World], mistake: Mistake, said: str) -> None:
    """Each raises in the handler with a sentence that says what to do, is not tried again, and leaves nothing."""

    async def handler(context: ActionContext, request: Input) -> File:
        try:
            return await mistake(context)
        except ActionFailed as failure:
            seen.append(failure.code)
            raise

    seen: list[str] = []
    world = make(handler, retry=3)
    started = await world.start()
    await world.run(started)
    ended = await world.read(started)
    assert ended.outcome is not None
    assert ended.outcome.error is not None
    assert ended.outcome.error.code == "InvalidFile"
    assert await blobs(world, started) == []
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(ended.outcome.error.message)


def sync_after_its_block(context: SyncActionContext) -> File:
    with context.result_file() as file:
        file.write(b"a")
    file.write(b"b")
    return file


def sync_text(context: SyncActionContext) -> File:
    with context.result_file() as file:
        file.write("text")  # type: ignore[arg-type]
    return file


def sync_too_large(context: SyncActionContext) -> File:
    with context.result_file() as file:
        for _ in range(20):
            file.write(b"x" * 100_000)
    return file


@pytest.mark.parametrize(
    ("mistake", "code"),
    [(sync_after_its_block, "InvalidFile"), (sync_text, "InvalidFile"), (sync_too_large, "FileTooLarge")],
)
async def test_mistakes_in_a_thread(make: Callable[..., World], mistake: Any, code: str) -> None:
    """They raise in a `def` handler, too, and leave nothing."""

    def handler(context: SyncActionContext, request: Input) -> File:
        return mistake(context)

    world = make(handler, settings={"MAX_FILE_BYTES": "1000000"})
    started = await world.start()
    await world.run(started)
    assert error_code(await world.read(started)) == code
    assert await blobs(world, started) == []


async def test_not_declared(make: Callable[..., World]) -> None:
    """An action that does not return a file writes none; one that does returns nothing else."""

    async def writes(context: ActionContext, request: Input) -> None:
        async with context.result_file() as file:
            await file.write(b"a")

    async def returns_less(context: ActionContext, request: Input) -> File:
        return {"fileName": "a"}  # type: ignore[return-value]

    for handler, code in ((writes, "InvalidFile"), (returns_less, "InvalidResult")):
        world = make(handler)
        started = await world.start()
        await world.run(started)
        assert error_code(await world.read(started)) == code


async def test_after_the_end(make: Callable[..., World]) -> None:
    """A thread that nobody waits for any more is told so when it goes on writing."""
    raised: list[BaseException] = []
    may_go_on, over = threading.Event(), threading.Event()

    def handler(context: SyncActionContext, request: Input) -> File:
        try:
            with context.result_file() as file:
                file.write(LARGE)
                may_go_on.wait(10)
                file.write(LARGE)
            return file
        except BaseException as error:
            raised.append(error)
            raise
        finally:
            over.set()

    world = make(handler, timeout="1m")
    started = await world.start()
    running = asyncio.create_task(world.run(started))
    await until(lambda: world.faults.underway or world.faults.writes > 2)
    await world.clock.run_for(minutes=2)
    await asyncio.wait({running}, timeout=10)
    may_go_on.set()
    await asyncio.to_thread(over.wait, 10)
    assert [type(each).__name__ for each in raised] == ["ActionCanceled"]
    assert "is over" in str(raised[0])
    assert await blobs(world, started) == []


async def test_a_write_that_failed_leaves_no_file(make: Callable[..., World]) -> None:
    """A handler that goes on after it cannot return the rest: bytes would be missing in the middle."""

    async def past_the_limit(context: ActionContext, request: Input) -> File:
        async with context.result_file() as file:
            await file.write(b"begin")
            with suppress(ActionFailed):
                await file.write(b"x" * 4_000_000)
        return file

    async def broken_off(context: ActionContext, request: Input) -> File:
        async with context.result_file() as file:
            writing = asyncio.create_task(file.write(LARGE))
            await asyncio.sleep(0)
            writing.cancel()
            await asyncio.wait({writing})
        return file

    for handler in (past_the_limit, broken_off):
        world = make(handler, settings={"MAX_FILE_BYTES": "4000000"})
        started = await world.start()
        await world.run(started)
        assert error_code(await world.read(started)) == "InvalidFile"
        assert await blobs(world, started) == []


async def test_written_side_by_side(make: Callable[..., World]) -> None:
    """Each write is whole, and the hash is that of what was stored."""

    async def handler(context: ActionContext, request: Input) -> File:
        async with context.result_file() as file:
            await asyncio.gather(*(file.write(bytes([number]) * 2_500_000) for number in range(8)))
        return file

    world = make(handler)
    started = await world.start()
    await world.run(started)
    found, ended = await content(world, started) or b"", await world.read(started)
    assert ended.file is not None
    assert (ended.file.size, ended.file.sha256) == (20_000_000, sha256(found).hexdigest())
    assert [found[at] for at in range(0, 20_000_000, 2_500_000)] == sorted(set(found))


async def test_of_another_operation(make: Callable[..., World]) -> None:
    """What was written for one operation is no result of the next, with whose record it would not go."""
    kept: list[File] = []

    async def handler(context: ActionContext, request: Input) -> File:
        if not kept:
            async with context.result_file() as file:
                await file.write(CSV)
            kept.append(file)
        return kept[0]

    world = make(handler)
    first, second = await world.start(), await world.start()
    await world.run(first)
    await world.run(second)
    assert await content(world, first) == CSV
    assert error_code(await world.read(second)) == "InvalidFile"


async def test_many_take_no_memory(make: Callable[..., World]) -> None:
    """What was written is not kept, however many files a handler makes."""
    block, held = b"x" * 1_000_000, list[int]()

    async def handler(context: ActionContext, request: Input) -> File:
        for _ in range(30):
            async with context.result_file() as file:
                await file.write(block)
        held.append(tracemalloc.get_traced_memory()[0])
        return file

    world = make(handler)
    started = await world.start()
    tracemalloc.start()
    try:
        await world.run(started)
    finally:
        tracemalloc.stop()
    assert held[0] < 10_000_000


async def test_content_that_hangs_holds_up_nobody(make: Callable[..., World]) -> None:
    """Each has a thread of its own, which is given up with its attempt: other files are stored meanwhile."""
    release = threading.Event()

    def hangs() -> Iterator[bytes]:
        yield b"x"
        release.wait(60)

    async def handler(context: ActionContext, request: Input) -> File:
        return File(hangs() if context.operation_id in {each.id for each in hanging} else iter([LARGE]))

    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(2))
    world = make(handler, timeout="1m")
    hanging = [await world.start() for _ in range(4)]
    running = [asyncio.create_task(world.run(each)) for each in hanging]
    try:
        await until(lambda: sum(thread.name == "content of a file" for thread in threading.enumerate()) == 4)
        other = await world.start()
        async with asyncio.timeout(20):
            await world.run(other)
        assert await content(world, other) == LARGE
        await world.clock.run_for(minutes=2)
        await asyncio.wait(running, timeout=10)
        assert [error_code(await world.read(each)) for each in hanging] == ["AttemptTimedOut"] * 4
        await world.clock.run_for(seconds=world.timing.cancel_grace)
        assert world.threads.abandoned == 4
    finally:
        release.set()
