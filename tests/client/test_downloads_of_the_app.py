"""The app's files, saved by the client and by the command `lro`."""

import json
import shlex
from pathlib import Path
from uuid import uuid4

import pytest

from tests.client.clocks import QuickClock
from tests.client.lro_command import lro
from tests.client.twins import Twins
from tests.support.host import LocalHost
from tests.support.lro import identity

pytestmark = [pytest.mark.timeout(60), pytest.mark.xdist_group("client-host")]

NUMBERS = bytes(range(256)) * 4096


@pytest.mark.parametrize("store", ["sqlite", "azurite"])
def test_from_the_app(request: pytest.FixtureRequest, twins: Twins, tmp_path: Path, store: str) -> None:
    """The app's files, of both kinds of handlers, by both clients, from both stores."""
    host: LocalHost = request.getfixturevalue("host" if store == "sqlite" else "host_on_azurite")
    client = twins.client("DataPlaneClient", host.url, headers=identity(uuid4().hex), clock=QuickClock())
    for kind, size in (("file", 9_000_000), ("file-sync", 5), ("file", 0)):
        body = {"size": size, "fileName": "bücher.bin"}
        operation = client.start("POST", f"result/{uuid4().hex[:8]}:{kind}", json=body)
        operation.wait(timeout=20)
        path = operation.download(tmp_path)
        assert path == tmp_path / "bücher.bin"
        assert path.read_bytes() == (NUMBERS * 9)[:size]
        path.unlink()


def test_command(app_url: str, tmp_path: Path) -> None:
    """`--to` saves the file, of a start that waits, of one that has ended, or into a folder under its own name."""
    line = ["start", "POST", f"{app_url}/result/c1:file", "-d", '{"size": 2000000}']
    done = lro(*line, "--wait", "--to", tmp_path / "a.bin")
    assert (done.code, done.out) == (0, "")
    assert f"Saved: {tmp_path / 'a.bin'}" in done.err
    assert (tmp_path / "a.bin").read_bytes() == (NUMBERS * 2)[:2_000_000]
    monitor = lro(*line).out.strip()
    assert lro("wait", monitor).code == 0
    shown = lro("result", monitor).out
    assert json.loads(shown)["fileName"] == "numbers.bin"
    saved = lro("result", monitor, "--to", tmp_path, "-o", "json")
    assert (saved.json["status"], saved.json["result"]["size"]) == ("Succeeded", 2_000_000)
    assert (tmp_path / "numbers.bin").stat().st_size == 2_000_000
    again = lro("result", monitor, "--to", tmp_path)
    assert again.code == 6
    assert "numbers.bin could not be written: a file is there already" in again.err


def test_command_saves_what_is_no_file(app_url: str, tmp_path: Path) -> None:
    """Any other result is saved as it would be printed; without a wait there is nothing to save."""
    line = ["start", "POST", f"{app_url}/trial/c1:wait", "-d", '{"seconds": 0}', "--to", tmp_path / "a.json"]
    assert lro(*line).code == 2
    assert lro(*line, "--wait").code == 0
    assert json.loads((tmp_path / "a.json").read_text()) == {"seconds": 0, "attempt": 1}


def test_command_before_the_end(app_url: str) -> None:
    """What still goes on has no result: exit code 4, and how to go on."""
    monitor = lro("start", "POST", f"{app_url}/trial/c1:wait", "-d", '{"seconds": 60}').out.strip()
    done = lro("result", monitor)
    assert done.code == 4
    assert f"lro wait {shlex.quote(monitor)}" in done.err
    assert lro("cancel", monitor).code == 0
