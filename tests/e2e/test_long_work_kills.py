"""Steps, checkpoints and parks under `kill -9` at any moment, on both stores; and of storage that goes away."""

import random
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from local_host.azurite import Azurite
from tests.support.host import ROOT, STORES, TEST_APP, LocalHost, on_the_same_ports, require_azurite, timed
from tests.support.long_work import KINDS, PARKING, check_steps, until_begun
from tests.support.lro import begin, ended, until
from tests.support.scenarios import Outcomes, Scenario, connected, on

pytestmark = pytest.mark.timeout(300)

KILLS = {"sqlite": 10, "azurite": 5}
LEASES = {"sqlite": {}, "azurite": {"lease": 6, "heartbeat": 2, "housekeeping_patience": 2}}
MOMENTS = {"sqlite": (0.1, 1.5), "azurite": (1.0, 7.0)}
"""Seconds from a start of the host to its death: on a store that processes share, a lease has to run out first."""
ROUND = {"sqlite": 0.1, "azurite": 0.5}
"""Seconds of a round of the work, so that these moments are in its midst."""


def killed_at_any_moment(folder: Path, store: str) -> None:
    """Each host starts two operations and dies, some that are parked among those that it leaves behind.

    Azurite ends and comes back, too, under one of the hosts. All operations succeed, each step of each counts once.
    """
    chance, log, ids = random.Random(store), folder / "log", list[str]()
    timing = timed(**LEASES[store], **PARKING, loss_waits=[0, 1])
    with ExitStack() as stack:
        emulator, environment = None, dict(timing)
        if store == "azurite":
            require_azurite()
            emulator = Azurite(ROOT, location=folder / "azurite")
            stack.callback(emulator.stop)
            environment["AzureWebJobsStorage"] = emulator.start()
        host = LocalHost(folder, store=store, app_root=TEST_APP, environment=environment)
        for number in range(KILLS[store]):
            host.start()
            with connected(host) as client:
                body = {"log": str(log), "seconds": ROUND[store]}
                ids += [begin(client, f"/long/l{number}:{kind}", body)["id"] for kind in KINDS]
                if number == 1:
                    until_begun(log, ids[-2])
                elif number == 2:
                    until(client, ids[-2], lambda state: state.get("waitingFor") == "time")
                else:
                    time.sleep(chance.uniform(*MOMENTS[store]))
                if emulator is not None and number == 3:
                    # What it has acknowledged is on its disk once it has ended by itself, and not before.
                    emulator.stop()
                    emulator = on_the_same_ports(folder / "azurite", environment["AzureWebJobsStorage"])
                    stack.callback(emulator.stop)
                    emulator.start()
            host.kill()
        with host, connected(host) as client:
            states = [ended(client, each, within=120) for each in ids]
        check_steps(log, states, deaths=KILLS[store])
        assert states[2]["attempt"] > 1, "its first host died in the midst of it"


@pytest.mark.parametrize("scenario", on(killed_at_any_moment, *STORES))
def test_long_work_kills(outcomes: Outcomes, scenario: Scenario) -> None:
    """What the scenario's own docstring says."""
    outcomes[scenario].result()
