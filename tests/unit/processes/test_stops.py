"""Handlers in processes that are to stop: canceled, overdue, or because their instance stops."""

import asyncio
import os
import signal
from datetime import timedelta

import pytest

from shared.model.operation import Status
from shared.operations.stopping import Stopping
from tests.support.process_state import is_alive
from tests.unit.processes.conftest import Processes
from tests.unit.runner.handlers import claim_elsewhere, error_code, until

GRACE = 2.0
"""Of the actions here that declare one."""


@pytest.mark.parametrize("does", ["heeds", "spins", "finishes", "dies_when_told"])
async def test_canceled(processes: Processes, caplog: pytest.LogCaptureFixture, does: str) -> None:
    """The handler is told; one that goes on is ended with its process once its grace is over. It may still finish."""
    world = processes.world
    started, running, pid = await processes.begun("numbers:computes", does)
    await world.service.cancel("", started.id)
    if does == "spins":
        await until(lambda: GRACE in world.clock.waits)
        await world.clock.run_for(seconds=GRACE - 0.1)
        assert is_alive(pid)
        await world.clock.run_for(seconds=0.1)
    await running
    ended = await world.read(started)
    expected = {"finishes": Status.SUCCEEDED, "dies_when_told": Status.FAILED}.get(does, Status.CANCELED)
    assert ended.status is expected
    assert is_alive(pid) == (does in ("heeds", "finishes"))
    assert ("Ended a process whose handler did not stop" in caplog.text) == (does == "spins")
    # Another one, or the same, takes the next.
    assert (await processes.run("numbers:talks", "returns")).status is Status.SUCCEEDED


@pytest.mark.parametrize("does", ["heeds", "spins", "finishes"])
async def test_overdue(processes: Processes, does: str) -> None:
    """After its `timeout` it is told to stop, and ended after its grace: a failed attempt in any case."""
    world = processes.world
    started, running, pid = await processes.begun("numbers:computes", does)
    await until(lambda: any(50 < each <= 60 for each in world.clock.waits))
    await world.clock.run_for(minutes=1)
    if does == "spins":
        assert is_alive(pid)
        await world.clock.run_for(seconds=GRACE)
    await running
    assert error_code(await world.read(started)) == "AttemptTimedOut"
    await until(lambda: is_alive(pid) == (does != "spins"))


async def test_an_operation_that_another_claim_has_taken(processes: Processes) -> None:
    """A handler whose operation was lost is told to stop, and ended where it does not."""
    world = processes.world
    started, running, pid = await processes.begun("numbers:computes", "spins")
    await claim_elsewhere(world, started, after=40)
    await until(lambda: world.timing.heartbeat in world.clock.waits)
    await world.clock.run_for(seconds=world.timing.heartbeat)
    await until(lambda: GRACE in world.clock.waits)
    await world.clock.run_for(seconds=GRACE)
    assert await running is None
    assert not is_alive(pid)
    assert (await world.read(started)).holder == "elsewhere"


async def test_what_it_has_made_ends_with_it(processes: Processes) -> None:
    """Processes that the handler has made are of its group, which is ended as a whole."""
    world = processes.world
    started, running, child = await processes.begun("numbers:computes", "makes_children")
    await world.service.cancel("", started.id)
    await until(lambda: GRACE in world.clock.waits)
    await world.clock.run_for(seconds=GRACE)
    await running
    assert (await world.read(started)).status is Status.CANCELED
    await until(lambda: not is_alive(child))


async def test_what_it_has_made_ends_with_its_death(processes: Processes) -> None:
    """Also where the process alone was killed, by the system say; they do not keep its channel open either."""
    started, running, child = await processes.begun("numbers:computes", "makes_children")
    (process,) = processes.world.processes._all
    os.kill(process.pid, signal.SIGKILL)
    await running
    assert error_code(await processes.world.read(started)) == "HandlerProcessDied"
    await until(lambda: not is_alive(child))


@pytest.mark.parametrize("does", ["heeds", "spins", "dies_when_told"])
async def test_given_back(processes: Processes, does: str) -> None:
    """An instance that stops gives the attempt back, and waits for no handler: it ends those that go on."""
    world = processes.world
    started, running, _ = await processes.begun("numbers:computes", does)
    stopping = asyncio.create_task(Stopping(world.live).stopping())
    if does == "spins":
        await until(lambda: world.timing.stop_grace in world.clock.waits)
        await world.clock.run_for(seconds=world.timing.stop_grace)
    await running
    await stopping
    waiting = await world.read(started)
    assert (waiting.status, waiting.lease_until, waiting.failures, waiting.losses) == (Status.RUNNING, None, 0, 0)
    assert [each.outcome for each in waiting.attempts] == ["GivenBack"]


async def test_a_longer_grace_does_not_hold_up_a_stop(processes: Processes) -> None:
    """A handler that was canceled and has time left has less once its instance stops."""
    world = processes.world
    started, running, _ = await processes.begun("numbers:computes", "spins")
    await world.service.cancel("", started.id)
    await until(lambda: GRACE in world.clock.waits)
    stopping = asyncio.create_task(Stopping(world.live).stopping())
    await until(lambda: world.timing.stop_grace in world.clock.waits)
    await world.clock.run_for(seconds=world.timing.stop_grace)
    await asyncio.gather(running, stopping)
    assert (await world.read(started)).status is Status.CANCELED


async def test_what_must_not_run_twice_goes_on(processes: Processes) -> None:
    """It is not told that its instance stops; where its process dies then, the operation has ended as a loss."""
    world = processes.world
    started, running, pid = await processes.begun("numbers:once", "dies_on_command")
    stopping = asyncio.create_task(Stopping(world.live).stopping())
    await until(lambda: world.timing.stop_within in world.clock.waits)
    await world.clock.run_for(seconds=world.timing.stop_grace)
    assert is_alive(pid)
    (processes.folder / "go").touch()
    await asyncio.gather(running, stopping)
    assert error_code(await world.read(started)) == "AttemptLost"


async def test_cancelled_by_the_host(processes: Processes) -> None:
    """Where the host cancels the activity, the process is ended and the operation given back."""
    world = processes.world
    started, running, pid = await processes.begun("numbers:computes", "spins")
    running.cancel()
    await until(lambda: world.timing.stop_grace in world.clock.waits)
    await world.clock.run_for(seconds=world.timing.stop_grace)
    with pytest.raises(asyncio.CancelledError):
        await running
    assert [each.outcome for each in (await world.read(started)).attempts] == ["GivenBack"]
    await until(lambda: not is_alive(pid))


async def test_signals_of_the_terminal(processes: Processes) -> None:
    """SIGTERM and SIGINT, which a platform may send to all processes, are the app's to act on."""
    world = processes.world
    started, running, pid = await processes.begun("numbers:computes", "heeds")
    os.kill(pid, signal.SIGTERM)
    os.kill(pid, signal.SIGINT)
    await world.service.cancel("", started.id)
    await running
    assert (await world.read(started)).status is Status.CANCELED


async def test_canceled_before_it_has_begun(processes: Processes) -> None:
    """The handler of an operation that is canceled between its claim and its run is never called."""
    world = processes.world
    started = await processes.start("numbers:computes", "heeds")

    async def cancel(table: str, changes: object) -> None:
        world.faults.before = None
        await world.service.cancel("", started.id)

    world.faults.before = cancel
    await world.run(started)
    assert (await world.read(started)).status is Status.CANCELED
    assert processes.notes == []


async def test_the_activity_returns_in_time(processes: Processes) -> None:
    """The host's limit counts from the call of the activity, also where that has waited for its process."""
    world = processes.world
    limited = type(world)(
        world.storage, *world.actions.values(), function_timeout=timedelta(minutes=2), clock=world.clock
    )
    here = Processes(limited, processes.folder)
    started, running, _ = await here.begun("numbers:computes", "spins")
    await until(lambda: any(50 < each <= 60 for each in world.clock.waits))
    await world.clock.run_for(minutes=1)
    # Nothing is left for its grace.
    await running
    await limited.processes.aclose()
    assert error_code(await limited.read(started)) == "AttemptTimedOut"
