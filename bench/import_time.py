"""Import time of `function_app` against that of the SDKs it cannot do without, each in fresh processes, in turn."""

import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
RUNS = 11
_TIMED = "import time; t = time.perf_counter(); {}; print(time.perf_counter() - t)"
_BARE = "import azure.functions, azure.durable_functions"
_SDKS = "import azure.functions, azure.durable_functions; from pydantic import BaseModel; type('M', (BaseModel,), {})"


def measure(folder: Path) -> None:
    app: list[float] = []
    floor: list[float] = []
    bare: list[float] = []
    for _ in range(RUNS):
        bare.append(_run(_BARE))
        floor.append(_run(_SDKS))
        app.append(_run("import function_app"))
    print(f"import of function_app     {statistics.median(app) * 1000:6.0f} ms  median of {RUNS} fresh processes")
    print(f"  over the Functions SDKs  {_ratio(app, bare):6.2f}     the two SDK packages (goal: 1.10)")
    print(f"  and with pydantic too    {_ratio(app, floor):6.2f}     a first model, as every declaration needs one")


def _ratio(app: list[float], floor: list[float]) -> float:
    return statistics.median(a / f for a, f in zip(app, floor, strict=True))


def _run(statement: str) -> float:
    done = subprocess.run(
        [sys.executable, "-c", _TIMED.format(statement)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return float(done.stdout)
