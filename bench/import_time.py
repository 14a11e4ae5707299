"""Import time of `function_app` and of the client against that of what they stand on, in fresh processes, in turn."""

import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

from bench.report import Report

ROOT = Path(__file__).parents[1]
RUNS = 11
_TIMED = "import time; t = time.perf_counter(); {}; print(time.perf_counter() - t)"
_BARE = "import azure.functions, azure.durable_functions"
_SDKS = "import azure.functions, azure.durable_functions; from pydantic import BaseModel; type('M', (BaseModel,), {})"


_CLIENT = "from lro_client import DataPlaneClient"
_CLIENT_FLOOR = "import azure.core.pipeline.transport, azure.core.pipeline.policies, requests"
_COMMAND = "import lro_client.command.main"
_COMMAND_FLOOR = "import typer, rich.progress"


def measure(folder: Path, report: Report, *, rounds: int, rivals: bool) -> None:
    app: list[float] = []
    small: list[float] = []
    floor: list[float] = []
    bare: list[float] = []
    _small_app(folder)
    for cold in (ROOT, folder):
        _run("import function_app", cold)
    for _ in range(RUNS):
        bare.append(_run(_BARE))
        floor.append(_run(_SDKS))
        app.append(_run("import function_app"))
        small.append(_run("import function_app", folder))
    print(f"import of function_app     {statistics.median(app) * 1000:6.0f} ms  median of {RUNS} fresh processes")
    print(f"  over the Functions SDKs  {_ratio(app, bare):6.2f}     the two SDK packages")
    print(f"  and with pydantic too    {_ratio(app, floor):6.2f}     a first model, as every declaration needs one")
    print(f"  of an app of one kind    {_ratio(small, floor):6.2f}     of two actions of the data plane, over the same")
    report.add({"import": _ratios(app, floor)})
    _client()


def _small_app(folder: Path) -> None:
    """The root's own `function_app.py`, without the sample, ARM and OData."""
    for name in ("function_app.py", "host.json"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "bench" / "app" / "actions", folder / "actions")


def _client() -> None:
    """The client library and its command, beside the libraries that they stand on."""
    statements = ("import lro_client", _CLIENT, _CLIENT_FLOOR, _COMMAND, f"{_COMMAND_FLOOR}; {_CLIENT_FLOOR}")
    found: dict[str, list[float]] = {statement: [] for statement in statements}
    for _ in range(RUNS):
        for statement, times in found.items():
            times.append(_run(statement))
    package, client, client_floor, command, command_floor = found.values()
    print(
        f"import of lro_client       {statistics.median(package) * 1000:6.1f} ms  names are imported when they are used"
    )
    print(f"  and of DataPlaneClient   {statistics.median(client) * 1000:6.0f} ms")
    print(f"  over azure-core          {_ratio(client, client_floor):6.2f}     its pipeline, and requests")
    print(f"import of the command lro  {statistics.median(command) * 1000:6.0f} ms")
    print(f"  over its libraries       {_ratio(command, command_floor):6.2f}     azure-core, requests, typer and rich")


def _ratio(app: list[float], floor: list[float]) -> float:
    return statistics.median(_ratios(app, floor))


def _ratios(app: list[float], floor: list[float]) -> list[float]:
    return [mine / its for mine, its in zip(app, floor, strict=True)]


def _run(statement: str, folder: Path = ROOT) -> float:
    line = [sys.executable, "-c", _TIMED.format(statement)]
    # A deployed app has its bytecode, whatever this shell forbids.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment = {**kept, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout)
