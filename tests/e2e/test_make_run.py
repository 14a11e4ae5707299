"""`make run`, the first of the two commands."""

import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("store", ["sqlite", "azurite"])
def test_make_run_starts_the_app(store: str, tmp_path: Path) -> None:
    """Once installed it starts, and the printed `curl` line works. The benchmark measures a cold start."""
    if not (ROOT / ".venv" / ".local").exists() or shutil.which("make") is None:
        pytest.skip("the checks run in another environment than make's own")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path / "log"
    with log.open("w") as out:
        process = subprocess.Popen(
            ["make", "--no-print-directory", "run", f"PORT={port}", f"STORE={store}", f"DATA_DIR={tmp_path / 'data'}"],
            cwd=ROOT,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 90
        while "Ready on" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        text = log.read_text()
        ready = re.search(r"Ready on http://127\.0\.0\.1:(\d+) after ([\d.]+) s", text)
        assert ready is not None
        assert ready[1] == str(port)
        assert store == "azurite" or float(ready[2]) < 60
        line = re.search(r"^  (curl .*)$", text, re.MULTILINE)
        assert line is not None
        answer = subprocess.run(["bash", "-c", line[1]], capture_output=True, text=True, check=True).stdout
        assert answer.startswith("HTTP/1.1 202")
    finally:
        # As Ctrl-C does: the whole group in the foreground gets it.
        subprocess.run(["kill", "-INT", "--", f"-{process.pid}"], check=False)
        process.wait(60)
    assert process.returncode in (0, 2, -signal.SIGINT)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/health")
