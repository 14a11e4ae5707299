"""SIGTERM in a process that runs attempts: they are let go of, and the signal goes on."""

import asyncio
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.model.ids import Locator
from shared.model.operation import Operation, Status
from shared.model.timing import Timing
from shared.operations.attempt import LiveAttempts
from shared.operations.stopping import Stopping
from shared.system_clock import SystemClock
from tests.support import stopped_app

ROOT = Path(__file__).parents[2]


async def stored(folder: Path) -> dict[str, Operation]:
    app = stopped_app.application(str(folder))
    try:
        found = [await app.records.read(Locator.of("", each.route)) for each in stopped_app.ACTIONS]
        return {operation.id: operation for operation in found if operation is not None}
    finally:
        await app.aclose()


@pytest.mark.parametrize("found", ["none", "handler"])
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_stop_signal(tmp_path: Path, loop: str, found: str) -> None:
    """Every kind of handler is let go of as it has to be, within 5 s; then the process ends as it would have before."""
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    line = [sys.executable, "-m", "tests.support.stopped_app", str(tmp_path), loop, found]
    with subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            code = process.wait(60)
            seconds = time.monotonic() - began
        finally:
            process.kill()
    assert code == (7 if found == "handler" else -signal.SIGTERM)
    # `deaf` never lets go: the stop waits for it as long as it may, and not much longer on a busy machine.
    assert Timing().stop_within - 0.1 <= seconds < 20
    operations = asyncio.run(stored(tmp_path))
    for name in ("waits", "heeds"):
        given_back = operations[name]
        assert (given_back.status, given_back.lease_until, given_back.losses) == (Status.RUNNING, None, 0)
        assert [each.outcome for each in given_back.attempts] == ["GivenBack"]
    lost = operations["once"].outcome
    assert lost is not None
    assert lost.error is not None
    assert (operations["once"].status, lost.error.code) == (Status.FAILED, "AttemptLost")
    assert operations["finishes"].status is Status.SUCCEEDED
    deaf = operations["deaf"]
    assert deaf.status is Status.RUNNING
    assert deaf.lease_until is not None
    assert deaf.lease_until > datetime.now(UTC)


def live() -> LiveAttempts:
    return LiveAttempts(clock=SystemClock(), timing=Timing())


def test_only_in_the_main_thread() -> None:
    """On a loop in another thread, and without a loop, nothing is installed."""
    before = signal.getsignal(signal.SIGTERM)
    stopping = Stopping(live())

    async def install() -> None:
        stopping.install()

    thread = threading.Thread(target=lambda: asyncio.run(install()))
    thread.start()
    thread.join()
    stopping.install()
    assert signal.getsignal(signal.SIGTERM) is before


async def test_installed_once_and_taken_back() -> None:
    """What was found is there again when the app is closed; what somebody else has put over it is left alone."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        stopping = Stopping(live())
        stopping.install()
        ours = signal.getsignal(signal.SIGTERM)
        assert ours != before
        stopping.install()
        assert signal.getsignal(signal.SIGTERM) == ours
        stopping.remove()
        assert signal.getsignal(signal.SIGTERM) == before
        stopping.install()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        stopping.remove()
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
        ignored = Stopping(live())
        ignored.install()
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


async def test_the_second_signal_waits_for_nothing() -> None:
    """The first is sent on after the stop, the second at once: whoever repeats himself means it."""
    found: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: found.append(number))
    attempts = live()
    try:
        Stopping(attempts).install()
        with attempts.claiming("holder"):  # an attempt that does not let go
            signal.raise_signal(signal.SIGTERM)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert (attempts.is_stopping, found) == (True, [])
            signal.raise_signal(signal.SIGTERM)
            assert found == [signal.SIGTERM]
        async with asyncio.timeout(20):
            while len(found) < 2:  # noqa: ASYNC110 - the handler is called by the loop
                await asyncio.sleep(0)
    finally:
        signal.signal(signal.SIGTERM, before)
