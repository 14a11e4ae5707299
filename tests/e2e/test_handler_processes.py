"""Handlers in processes on a host: what is killed, and what goes on beside them."""

import os
import signal
from pathlib import Path

import pytest

from tests.support.host import TEST_APP, LocalHost
from tests.support.lro import begin, ended, monitor, run, until
from tests.support.process_state import is_alive
from tests.support.scenarios import SHORT_LEASES, connected

pytestmark = pytest.mark.timeout(240)


def pid_of(folder: Path, name: str) -> int:
    text = (folder / name).read_text(encoding="ascii") if (folder / name).exists() else ""
    return int(text or 0)


def test_processes_of_a_host(tmp_path: Path) -> None:
    """A process that is killed is a failed attempt; one that is canceled is ended; a host that is killed takes its
    processes along, and what they did goes on in the next."""
    environment = {**SHORT_LEASES, "HANDLER_PROCESSES": "2"}
    with (
        LocalHost(tmp_path / "host", store="sqlite", app_root=TEST_APP, environment=environment) as host,
        connected(host) as client,
    ):
        killed = begin(client, "/trial/killed:compute", {"folder": str(tmp_path)})["id"]
        until(client, killed, lambda state: pid_of(tmp_path, "killed-1"))
        os.kill(pid_of(tmp_path, "killed-1"), signal.SIGKILL)
        failed = until(client, killed, lambda state: state["attempt"] == 2)
        first = failed["attempts"][0]
        assert (first["outcome"], first["code"]) == ("Failed", "HandlerProcessDied")
        until(client, killed, lambda state: pid_of(tmp_path, "killed-2"))

        canceled = begin(client, "/trial/canceled:compute", {"folder": str(tmp_path)})["id"]
        until(client, canceled, lambda state: pid_of(tmp_path, "canceled-1"))
        assert client.post(f"/status/{canceled}:cancel").json()["status"] == "Canceling"
        assert ended(client, canceled)["status"] == "Canceled"
        assert not is_alive(pid_of(tmp_path, "canceled-1"))

        others = [begin(client, f"/trial/o{n}:compute", {"folder": str(tmp_path)})["id"] for n in range(100)]
        until(client, others[0], lambda state: any(pid_of(tmp_path, f"o{n}-1") for n in range(100)))
        assert run(client, "/trial/t1:nothing")["status"] == "Succeeded"
        states = [monitor(client, each)["status"] for each in others]
        assert (states.count("Running"), states.count("NotStarted")) == (1, 99)
        busy = [pid_of(tmp_path, file.name) for file in tmp_path.glob("*-*")]
        alive = [pid for pid in busy if is_alive(pid)]
        assert len(alive) == 2
        host.kill()
        (tmp_path / "go").touch()
        assert not any(map(is_alive, alive))
    with (
        LocalHost(tmp_path / "host", store="sqlite", app_root=TEST_APP, environment=environment) as again,
        connected(again) as client,
    ):
        end = ended(client, killed)
        assert (end["status"], end["attempt"]) == ("Succeeded", 3)
        assert {ended(client, each)["status"] for each in others} == {"Succeeded"}
