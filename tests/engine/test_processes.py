"""`--processes 2`: two processes behind one port, each with an engine of its own, on one task hub."""

import json
import os
import signal
import time
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path

import pytest

from tests.engine.conftest import Case
from tests.engine.support import SETTINGS, all_succeed, connected, host_on, start_work, until_begun, wait_for
from tests.support.host import LocalHost, emulator
from tests.support.witness import check_attempts, lines_of

pytestmark = pytest.mark.timeout(300)

COUNT = 12

TICKING = """
import os, azure.functions as func
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
@app.timer_trigger(arg_name="timer", schedule="* * * * * *")
def tick(timer: func.TimerRequest) -> None:
    with open(os.environ["TICKS"], "a") as file:
        file.write(f"{os.getpid()}\\n")
"""

IDLE = """#!/bin/sh
echo '{"rpc": "http://127.0.0.1:1/durabletask/"}'
exec sleep 300
"""
"""An engine that runs nothing: timers are the hosts' own affair."""


def requests_and_work_are_shared(folder: Path, program: Path) -> None:
    """Two instances on one hub each run some of the work, whoever took the start; one is killed, the other ends it all.

    The port keeps answering, and one line says which process has ended.
    """
    log = folder / "log"
    with (
        emulator() as (_, connection),
        host_on(folder / "host", connection, program, processes=2) as host,
        connected(host) as client,
    ):
        pids = processes_of(host)
        assert sorted(pids) == sorted(host.children())
        ids = start_work(client, log, COUNT, first_seconds=15)
        until_begun(log, COUNT)
        assert {line.pid for line in lines_of(log)} == set(pids)
        killed = {pids[0]: time.time()}
        os.kill(pids[0], signal.SIGKILL)
        all_succeed(client, ids)
        assert host.log.count(f"({pids[0]}) has ended with -9") == 1
    check_attempts(lines_of(log), ids, killed)
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def timers_run_in_one_process(folder: Path, _program: Path) -> None:
    """One process has the lease and runs the timer; when it is killed the other takes over, once the lease is over."""
    app, ticks, engine = folder / "app", folder / "ticks", folder / "engine"
    app.mkdir()
    (app / "function_app.py").write_text(TICKING)
    engine.write_text(IDLE)
    engine.chmod(0o755)
    with emulator() as (_, connection):
        host = LocalHost(
            folder / "host",
            store="azurite",
            app_root=app,
            environment={**SETTINGS, "AzureWebJobsStorage": connection, "TICKS": str(ticks)},
            engine=str(engine),
            processes=2,
        )
        with host:
            # An app without a host.json has the platform's route prefix.
            assert (host.base, f"Ready on {host.base} after" in host.log) == (f"{host.url}/api", True)
            pids = processes_of(host)
            wait_for(lambda: ticks.exists() and len(ticks.read_text().split()) >= 3)
            (first,) = {int(pid) for pid in ticks.read_text().split()}
            os.kill(first, signal.SIGKILL)
            (other,) = set(pids) - {first}
            wait_for(lambda: str(other) in ticks.read_text().split())
            order = [int(pid) for pid in ticks.read_text().split()]
            assert order == sorted(order, key=[first, other].index)


@pytest.mark.parametrize("case", [requests_and_work_are_shared, timers_run_in_one_process])
def test_processes(outcomes: Mapping[Case, "Future[None]"], case: Case) -> None:
    """What the case's own docstring says."""
    outcomes[case].result()


def processes_of(host: LocalHost) -> list[int]:
    return json.loads((host.folder / "ready.json").read_text())["processes"]
