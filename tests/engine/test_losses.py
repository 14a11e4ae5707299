"""Losing half an instance on the released Durable extension: its functions' process, or the extension's own.

Whole instances are lost in `test_processes.py` and `test_kill_rounds.py`. Every operation has the default declaration,
without retries; each case has a storage account and a task hub of its own.
"""

import os
import signal
import time
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path

import httpx
import pytest

from tests.engine.conftest import Case
from tests.engine.support import all_succeed, connected, free_port, host_on, start_work, started_engine, until_begun
from tests.support.host import emulator
from tests.support.witness import check_attempts, lines_of

pytestmark = pytest.mark.timeout(400)

COUNT = 6
"""Operations under way: fewer than the host runs at a time, so that each of them has begun when something is killed."""


def functions_process(folder: Path, program: Path) -> None:
    """kill -9 of the functions' process alone: the extension waits for the next one, which ends every operation.

    The extension was started beside them and is named by its URL: a host that stops leaves it running.
    """
    log, port = folder / "log", free_port()
    with emulator() as (_, connection):
        engine, url = started_engine(program, connection, port)
        try:
            host = host_on(folder, connection, url, port=port)
            with host, connected(host) as client:
                ids = start_work(client, log, COUNT, first_seconds=100)
                until_begun(log, COUNT)
                killed = {host.pid: time.time()}
                host.kill()
            with host_on(folder, connection, url, port=port) as again, connected(again) as client:
                all_succeed(client, ids)
                assert again.children() == []
            assert httpx.get(f"{url}instances/none").status_code == 404
        finally:
            engine.stop()
    check_attempts(lines_of(log), ids, killed)


def extension_process(folder: Path, program: Path) -> None:
    """kill -9 of the extension alone: one line says so, polls are answered, and another instance goes on."""
    log = folder / "log"
    with emulator() as (_, connection), host_on(folder / "one", connection, program) as one, connected(one) as client:
        ids = start_work(client, log, COUNT + 4, first_seconds=8)
        until_begun(log, COUNT)
        (engine,) = one.children()
        os.kill(engine, signal.SIGKILL)
        deadline = time.monotonic() + 20
        while f"process {engine}) has ended with -9" not in one.log:
            assert time.monotonic() < deadline, one.log
            time.sleep(0.05)
        with host_on(folder / "two", connection, program):
            all_succeed(client, ids, within=240)
        assert one.log.count("has ended with -9") == 1
    check_attempts(lines_of(log), ids, {})


@pytest.mark.parametrize("case", [functions_process, extension_process])
def test_losses(outcomes: Mapping[Case, "Future[None]"], case: Case) -> None:
    """What the case's own docstring says."""
    outcomes[case].result()
