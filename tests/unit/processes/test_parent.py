"""A process for handlers does not outlive the app, however that ends."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from shared.model.ids import Locator
from shared.model.operation import Status
from shared.operations import handler_process
from shared.operations.process_frames import Channel
from tests.support import computing_host as host
from tests.support.process_state import is_alive
from tests.unit.runner.handlers import until

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("does", ["spins_unless_told", "heeds_unless_told"])
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
async def test_the_app_is_killed(tmp_path: Path, does: str, ending: signal.Signals) -> None:
    """Its processes are gone with it, busy or not, and the operation goes on in the next app to its end."""
    line = [sys.executable, "-m", "tests.support.computing_host", str(tmp_path), does]
    with subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, text=True) as app:  # noqa: ASYNC220 - of the test
        assert app.stdout is not None
        found = json.loads(app.stdout.readline())
        assert is_alive(found["busy"])
        assert is_alive(found["idle"])
        app.send_signal(ending)
        app.wait(60)
    await until(lambda: not is_alive(found["busy"]))
    await until(lambda: not is_alive(found["idle"]))
    application = host.application(tmp_path)
    try:
        (tmp_path / "go").touch()
        operation = await application.records.read(Locator.of("", "op-1"))
        assert operation is not None
        assert (operation.lease_until is None) == (ending == signal.SIGTERM)
        assert [each.outcome for each in operation.attempts] == (["GivenBack"] if ending == signal.SIGTERM else [None])
        ended = await host.run_to_end(application, operation)
    finally:
        await application.aclose()
    assert (ended.status, ended.losses) == (Status.SUCCEEDED, 0 if ending == signal.SIGTERM else 1)


def started(*, parent: int) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """A process as the app makes it, by this one."""
    ours, theirs = socket.socketpair()
    with theirs:
        line = [sys.executable, "-m", "shared.operations.process_main", str(theirs.fileno()), str(parent)]
        return subprocess.Popen(line, cwd=ROOT, pass_fds=(theirs.fileno(),)), ours


def test_the_channel_ends() -> None:
    """Where no signal tells of the app's end, the end of its channel does: before the first frame, and after it."""
    for greets in (False, True):
        process, ours = started(parent=os.getpid())
        with process, ours:
            if greets:
                channel = Channel(ours)
                hello = {"path": sys.path, "folder": str(ROOT), "package": "tests.support.computing", "settings": {}}
                channel.send({**hello, "kind": "hello", "log_level": 20, "mark": "\0mark"})
                while (frame := channel.receive()) is not None and frame.head["kind"] != "ready":
                    assert frame.head["kind"] == "log"
                assert frame is not None
            ours.close()
            assert process.wait(20) == 0


def test_the_app_is_gone_before_it_is_there() -> None:
    """A process whose app has died meanwhile is nobody's, and goes."""
    process, ours = started(parent=1)
    with process, ours:
        assert process.wait(20) == 0


async def test_made_by_the_thread_of_the_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system ends it with the thread that has made it: no thread of a pool, which may end before the app."""
    made: list[threading.Thread] = []
    popen = handler_process._popen

    def recorded(channel: socket.socket) -> Any:
        made.append(threading.current_thread())
        return popen(channel)

    monkeypatch.setattr(handler_process, "_popen", recorded)
    application = host.application(tmp_path)
    try:
        pid = await asyncio.create_task(host.idle_process(application))
        assert made == [threading.main_thread()]
    finally:
        await application.aclose()
    assert not is_alive(pid)
