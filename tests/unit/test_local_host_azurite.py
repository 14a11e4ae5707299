"""Azurite as a child process. Skipped on a machine without it; on CI that is a failure."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from azure.data.tables import TableServiceClient

from local_host.azurite import Azurite, Ports, command, connection_string, find_script
from local_host.errors import AzuriteError
from tests.support.mounts import make_read_only, mounted

ROOT = Path(__file__).parents[2]


@pytest.fixture
def installed() -> None:
    try:
        find_script(ROOT, os.environ)
    except AzuriteError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


def is_gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"  # ended, not yet collected by whoever inherited it


@pytest.mark.usefixtures("installed")
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """It would start, and fail later: the error names the folder and what to do."""
    with mounted(tmp_path / "disk"):
        make_read_only(tmp_path / "disk")
        with pytest.raises(AzuriteError, match=r"disk/data' \(Read-only file system\): .*DATA_DIR"):
            Azurite(ROOT, location=tmp_path / "disk" / "data").start()


def test_missing_azurite_says_what_to_do(tmp_path: Path) -> None:
    """Without the package the error names the command that installs it."""
    with pytest.raises(AzuriteError, match="make azurite"):
        Azurite(tmp_path, environment={})


def test_azurite_js_names_another_place(tmp_path: Path) -> None:
    """AZURITE_JS wins over the folder of `make azurite`."""
    script = tmp_path / "azurite.js"
    script.touch()
    assert find_script(tmp_path, {"AZURITE_JS": str(script)}) == script.resolve()


def test_command_keeps_to_the_loopback() -> None:
    """Loopback hosts, given ports, no telemetry; data either in the folder or in memory."""
    line = command("node", Path("a.js"), Path("d"), Ports(1, 2, 3), in_memory=False)
    assert line[0] == "node"
    assert "a.js" in line
    assert {"--disableTelemetry", "--skipApiVersionCheck", "--location"} <= set(line)
    assert line.count("127.0.0.1") == 3
    assert "--location" not in command("node", Path("a.js"), Path("d"), Ports(1, 2, 3), in_memory=True)


def test_connection_string_is_the_emulators() -> None:
    """Account and key are the well-known ones, each service at its port."""
    text = connection_string(Ports(1, 2, 3))
    assert "AccountName=devstoreaccount1;AccountKey=Eby8vdM02xNOcqFl" in text
    assert "TableEndpoint=http://127.0.0.1:3/devstoreaccount1" in text


@pytest.mark.usefixtures("installed")
def test_start_use_stop() -> None:
    """Tables answer while it runs; afterwards no process is left."""
    azurite = Azurite(ROOT, in_memory=True)
    with azurite as connection:
        pid = azurite.pid
        assert pid is not None
        with TableServiceClient.from_connection_string(connection) as service:
            service.create_table("numbers")
            assert [table.name for table in service.list_tables()] == ["numbers"]
    assert is_gone(pid)


@pytest.mark.usefixtures("installed")
def test_data_is_kept_between_runs(tmp_path: Path) -> None:
    """With a location, what was written is there in the next run."""
    with Azurite(ROOT, location=tmp_path) as connection, TableServiceClient.from_connection_string(connection) as one:
        one.create_table("kept")
    with Azurite(ROOT, location=tmp_path) as connection, TableServiceClient.from_connection_string(connection) as two:
        assert [table.name for table in two.list_tables()] == ["kept"]


@pytest.mark.usefixtures("installed")
def test_a_port_that_somebody_else_has() -> None:
    """Somebody answers on the port, and it is not the emulator: it did not start, and nothing is left."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        azurite = Azurite(ROOT, in_memory=True, ports=Ports(0, 0, taken.getsockname()[1]))
        with pytest.raises(AzuriteError, match="EADDRINUSE"):
            azurite.start()
        assert azurite.pid is None


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux'")
@pytest.mark.usefixtures("installed")
def test_dies_with_its_host() -> None:
    """A host that is killed takes the emulator with it."""
    code = (
        "import time; from pathlib import Path; from local_host.azurite import Azurite\n"
        f"a = Azurite(Path({str(ROOT)!r}), in_memory=True); a.start(); print(a.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 60
    while not is_gone(pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)
