"""Round after round of mixed load in which an instance, or its extension alone, is lost: nothing is lost or done twice.

`KILL_ROUNDS=30` makes more rounds than the usual six.
"""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from uuid import uuid4

import httpx
import pytest

from tests.engine.support import connected, host_on, started, wait_for
from tests.support.arm_parts import path_of
from tests.support.arm_things import VERSION
from tests.support.host import LocalHost, emulator
from tests.support.lro import TERMINAL, ended, listing
from tests.support.witness import check_attempts, lines_of

ROUNDS = int(os.environ.get("KILL_ROUNDS", "6"))
WITHIN = 90
"""Seconds from the last kill to the last end: what an instance had fetched comes back after 60 of them."""

pytestmark = pytest.mark.timeout(WITHIN + 60 * ROUNDS)

Loss = Literal["instance", "extension"]
LOSSES: tuple[tuple[tuple[int, Loss], ...], ...] = (
    ((0, "instance"),),
    ((1, "extension"),),
    ((0, "instance"), (1, "instance")),
    ((0, "extension"),),
    ((1, "instance"),),
    ((0, "extension"), (1, "instance")),
)
"""What is lost in each round: which of two hosts, and what of it."""


@dataclass
class Load:
    """What was started, by what it must come to."""

    log: Path
    proofs: list[str] = field(default_factory=list[str])
    requests: list[str] = field(default_factory=list[str])
    canceled: list[str] = field(default_factory=list[str])
    monitors: list[str] = field(default_factory=list[str])
    """Of ARM operations, which have an owner of their own: paths."""

    def add(self, client: httpx.Client) -> None:
        """Start some of every kind: short and long, in threads, retried, canceled; ARM and OData."""
        body: dict[str, object] = {"log": str(self.log)}
        for verb, more in (
            ("run", {}),
            ("run", {"firstSeconds": 5}),
            ("run", {"firstSeconds": 8}),
            ("compute", {"firstSeconds": 3}),
            ("retry", {"goodAttempt": 2}),
        ):
            self.proofs.append(started(client, f"/proof/p1:{verb}", {**body, **more}))
        self.canceled.append(started(client, "/proof/p1:run", {**body, "firstSeconds": 100}))
        client.post(f"/status/{self.canceled[-1]}:cancel").raise_for_status()
        thing = {"location": "westeurope", "properties": {}}
        answer = client.put(f"{path_of('asyncThings', f't-{uuid4()}')}?api-version={VERSION}", json=thing)
        assert answer.status_code == 201, answer.text
        self.monitors.append(httpx.URL(answer.headers["azure-asyncoperation"]).raw_path.decode())
        answer = client.post("/odata/TrialDone", json={"seconds": 2}, headers={"Prefer": "respond-async"})
        assert answer.status_code == 202, answer.text
        self.requests.append(httpx.URL(answer.headers["location"]).path.rpartition("/")[2])

    @property
    def expected(self) -> dict[str, str]:
        good = dict.fromkeys((*self.proofs, *self.requests), "Succeeded")
        return good | dict.fromkeys(self.canceled, "Canceled")


def lose(host: LocalHost, what: Loss) -> tuple[int, float]:
    """Kill it, or its extension alone; the process whose attempts are lost, and when. Start it again."""
    if what == "extension":
        (engine,) = host.children()
        os.kill(engine, signal.SIGKILL)
        wait_for(lambda: f"process {engine}) has ended with -9" in host.log)
    pid = host.pid
    host.kill()
    return pid, time.time()


def test_kill_rounds(program: Path, tmp_path: Path) -> None:
    """Every operation ends as it should within 90 s of the last kill; no attempt overlaps another or ends twice.

    Then the list has each of them once.
    """
    load, killed = Load(tmp_path / "log"), dict[int, float]()
    with emulator() as (_, connection), ExitStack() as stack:
        hosts = [stack.enter_context(host_on(tmp_path / name, connection, program)) for name in ("one", "two")]
        for number in range(ROUNDS):
            losses = LOSSES[number % len(LOSSES)]
            known = len(lines_of(load.log))
            for host in hosts:
                with connected(host) as client:
                    load.add(client)
            wait_for(lambda known=known: [each.word for each in lines_of(load.log)[known:]].count("began") >= 4)
            killed |= dict(lose(hosts[at], what) for at, what in losses)
            last = time.monotonic()
            with ThreadPoolExecutor() as threads:
                list(threads.map(lambda loss: hosts[loss[0]].start(), losses))
        with connected(hosts[0]) as client:
            until = last + WITHIN
            states = [ended(client, each, within=max(1, until - time.monotonic())) for each in load.expected]
            for each in load.monitors:
                path, left = each, max(1, until - time.monotonic())
                wait_for(lambda path=path: client.get(path).json()["status"] == "Succeeded", within=left)
            statuses = [(item["id"], item["status"]) for item in listing(client)]
            assert all(status in TERMINAL for _, status in statuses)
            assert sorted(statuses) == sorted(load.expected.items())
    check_attempts(lines_of(load.log), load.proofs, killed)
    lost = [each["id"] for each in states for attempt in each.get("attempts", ()) if attempt["outcome"] == "Lost"]
    assert len(lost) >= ROUNDS, "a kill has to meet what runs"
