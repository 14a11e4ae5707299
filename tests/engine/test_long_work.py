"""Steps, checkpoints and parks on the Durable extension: two processes share one hub, and are killed in turn."""

import random
import time
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.engine.conftest import Case
from tests.engine.support import all_succeed, connected, host_on, started
from tests.support.host import emulator
from tests.support.long_work import KINDS, PARKING, check_steps, until_begun

pytestmark = pytest.mark.timeout(300)

KILLS = 4


def killed_in_turn(folder: Path, program: Path) -> None:
    """Whatever of an operation was under way there, the other process or the next one goes on behind its last step.

    All operations succeed, and each step of each counts once.
    """
    chance, log, ids = random.Random(7), folder / "log", list[str]()
    with emulator() as (_, connection), ExitStack() as stack:
        hosts = [
            stack.enter_context(host_on(folder / name, connection, program, **PARKING, loss_waits=[0, 1]))
            for name in ("one", "two")
        ]
        for number in range(KILLS):
            for host in hosts:
                with connected(host) as client:
                    body = {"log": str(log), "seconds": 0.5}
                    ids += [started(client, f"/long/l{number}:{kind}", body) for kind in KINDS]
            until_begun(log, ids[-4])
            time.sleep(chance.uniform(0, 6))
            hosts[number % 2].kill()
            hosts[number % 2].start()
        with connected(hosts[0]) as client:
            # What an instance had fetched comes back after a minute.
            states = all_succeed(client, ids, within=180)
    check_steps(log, states, deaths=KILLS)


@pytest.mark.parametrize("case", [killed_in_turn])
def test_long_work(outcomes: Mapping[Case, "Future[None]"], case: Case) -> None:
    """What the case's own docstring says."""
    outcomes[case].result()
