"""How many processes there are, how long each is used, and who gets none."""

import asyncio
import os
import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.actions import SyncActionContext, action
from shared.actions.declaration import Action
from shared.actions.isolation import check_supported
from shared.actions.registry import Registry
from shared.composition import Application
from shared.errors import DeclarationError
from shared.model.operation import Status
from shared.operations.handler_process import HandlerProcess
from shared.operations.usable_cores import usable_cores
from tests.support.computing import numbers
from tests.support.parts import World
from tests.support.process_state import is_alive
from tests.unit.processes.conftest import Processes
from tests.unit.runner.handlers import until

MB = 1024 * 1024


async def test_made_at_first_use_and_used_again(processes: Processes) -> None:
    """There is none before the first handler; one after the other they share one."""
    assert not processes.world.processes._all
    first = await processes.result("leaks", 1)
    assert [process.pid for process in processes.world.processes._all] == [first]
    assert await processes.result("leaks", 1) == first


async def test_bounded(processes: Processes) -> None:
    """At most so many at a time; who gets none claims nothing, and comes back."""
    world = processes.world
    operations = [await processes.start("numbers:computes", "computes_until") for _ in range(2 + 8 + 3)]
    runs = [asyncio.create_task(world.run(each)) for each in operations]
    # Two compute and eight wait: the others are turned away at once.
    await until(lambda: sum(run.done() for run in runs) == 3)
    await until(lambda: len(world.live._attempts) == 2)
    again = {run.result() for run in runs if run.done()}
    assert again == {world.clock.now() + timedelta(seconds=5)}
    await world.clock.run_for(seconds=5)
    await until(lambda: sum(run.done() for run in runs) == 8 + 3)
    unclaimed = [each for each in operations if each.locator not in world.live._attempts]
    for each in unclaimed:
        found = await world.read(each)
        assert (found.status, found.attempt, found.fence, found.attempts) == (Status.NOT_STARTED, 0, 0, ())
        assert (found.failures, found.losses, found.dispatch_failures, found.not_before) == (0, 0, 0, None)
    assert len(world.processes._all) == 2
    (processes.folder / "go").touch()
    await asyncio.gather(*runs)
    for each in unclaimed:
        await world.run(each)
    assert {(await world.read(each)).status for each in operations} == {Status.SUCCEEDED}
    assert len(world.processes._all) == 2


async def test_a_place_that_becomes_free(processes: Processes) -> None:
    """Who waits gets it, and its claim comes after that: the time of its attempt begins then."""
    world = World(processes.world.storage, *processes.world.actions.values(), processes=1)
    here = Processes(world, processes.folder)
    first, running, _ = await here.begun("numbers:computes", "finishes")
    second = await here.start("numbers:talks", "shows_its_context")
    waiting = asyncio.create_task(world.run(second))
    await until(lambda: world.timing.place_wait in world.clock.waits)
    await world.clock.run_for(seconds=3)
    assert (await world.read(second)).status is Status.NOT_STARTED
    await world.service.cancel("", first.id)
    await running
    await waiting
    await world.processes.aclose()
    ended = await world.read(second)
    assert (ended.status, ended.started) == (Status.SUCCEEDED, world.clock.now())


async def test_renewed_after_a_hundred_runs(processes: Processes) -> None:
    """Another process takes its place, and the old one ends."""
    pids = [await processes.result("leaks", 0) for _ in range(101)]
    assert len(set(pids[:100])) == 1
    assert pids[100] != pids[0]
    await until(lambda: not is_alive(pids[0]))


async def test_renewed_where_it_has_grown(processes: Processes) -> None:
    """After a run with more than 300 MB of resident memory another process takes its place."""
    assert await processes.result("leaks", 10 * MB) == await processes.result("leaks", 10 * MB)
    grown = await processes.result("leaks", 300 * MB)
    assert await processes.result("leaks", 0) != grown
    await until(lambda: not is_alive(grown))


async def test_dies_while_it_waits(processes: Processes) -> None:
    """One that was killed between two handlers is not used: that is nobody's failure."""
    first = await processes.result("leaks", 0)
    os.kill(first, signal.SIGKILL)
    await until(lambda: not is_alive(first))
    await until(lambda: not any(process.is_fit for process in processes.world.processes._all))
    ended = await processes.run("numbers:talks", "leaks", 0)
    assert (ended.status, ended.failures) == (Status.SUCCEEDED, 0)


@pytest.mark.parametrize("package", ["tests.support.no_such_package", "tests.unit.processes.broken"])
async def test_actions_that_cannot_be_imported(
    processes: Processes, caplog: pytest.LogCaptureFixture, package: str
) -> None:
    """A failed attempt, whose reason is in the log: nothing waits for ever for a process that cannot be made."""
    processes.world.processes._package = package
    failed = await processes.run("numbers:talks", "returns")
    assert (failed.status, failed.failures) == (Status.RUNNING, 1)
    assert failed.last_error is not None
    assert (failed.last_error.code, failed.last_error.message) == (
        "HandlerProcessDied",
        "The process that ran the handler is gone: it did not start.",
    )
    reason = "No module named" if "no_such" in package else "RuntimeError: broken on purpose"
    assert reason in caplog.text
    assert not processes.world.processes._all
    # The next attempt has another try.
    processes.world.processes._package = "tests.support.computing"
    assert (await processes.run("numbers:talks", "returns")).status is Status.SUCCEEDED


async def test_a_start_that_hangs(processes: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not come to its end is ended after a minute, and the attempt has failed."""
    world = processes.world
    processes.world.processes._package = "tests.unit.processes.hanging"
    started = await processes.start("numbers:talks", "returns")
    running = asyncio.create_task(world.run(started))
    await until(lambda: world.timing.process_start in world.clock.waits)
    await world.clock.run_for(seconds=world.timing.process_start)
    await until(running.done)
    failed = await world.read(started)
    assert (failed.last_error and failed.last_error.code) == "HandlerProcessDied"


async def test_none_can_be_made(processes: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system makes no more processes, the attempt has failed and the app goes on."""

    async def started(*_: Any, **__: Any) -> HandlerProcess:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(HandlerProcess, "started", started)
    failed = await processes.run("numbers:talks", "returns")
    assert (failed.last_error and failed.last_error.code) == "HandlerProcessDied"


async def test_closed_with_the_app(processes: Processes) -> None:
    """None is left, whatever it does."""
    _, running, pid = await processes.begun("numbers:computes", "spins")
    idle = await processes.result("leaks", 0)
    await processes.world.processes.aclose()
    await running
    assert not is_alive(pid)
    assert not is_alive(idle)


@pytest.mark.parametrize(
    ("files", "most"),
    [
        ({}, 64),
        ({"cpu.max": "max 100000\n"}, 64),
        ({"cpu.max": "150000 100000\n"}, 1),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "1000000 100000\n"}, 10),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 64),
        ({"cpu/cpu.cfs_quota_us": "200000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 2),
        ({"cpu.max": "nonsense"}, 64),
    ],
)
def test_usable_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], most: int) -> None:
    """Those of the affinity, and no more than the quota of the control group, of both versions, has whole ones."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)))
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert usable_cores(tmp_path) == most


def test_systems_without_it() -> None:
    """An app with such an action does not start there, and is told what to declare; any other does."""

    def handler(context: SyncActionContext) -> None: ...

    make: Callable[..., Action] = lambda **more: action("a", post="a", **more)(handler)  # noqa: E731
    check_supported([make()], "", system="nt")
    check_supported([make(isolation="process")], "actions", system="posix")
    with pytest.raises(DeclarationError, match=r'handler: isolation="process" needs Linux, .* isolation="thread"'):
        check_supported([make(isolation="process")], "actions", system="nt")
    with pytest.raises(DeclarationError, match=r"handler: .* make the registry by discover\(package\)"):
        Application(Registry([make(isolation="process")]))


def test_the_declarations_of_these_tests() -> None:
    """`grace` and `isolation` are read as they are written."""
    assert (numbers.computes.isolation, numbers.computes.grace) == ("process", timedelta(seconds=2))
    assert (numbers.talks.grace, numbers.threaded.isolation) == (timedelta(seconds=5), "thread")


async def test_half_a_frame(processes: Processes) -> None:
    """A process that was sent half of one, because nobody waits for the answer any more, runs no other handler."""
    first = await processes.result("leaks", 1)
    (process,) = processes.world.processes._all
    sending = asyncio.create_task(process.send({"kind": "answer", "id": 0}, bytes(50 * MB)))
    await asyncio.sleep(0)
    sending.cancel()
    await asyncio.wait({sending})
    running = asyncio.create_task(processes.result("leaks", 1))
    ended, _ = await asyncio.wait({running}, timeout=20)
    if not ended:
        process.kill()
    assert await running not in (first, "HandlerProcessDied")
