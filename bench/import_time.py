"""Import time of `function_app` against that of the SDKs it cannot do without, each in fresh processes, in turn."""

import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
RUNS = 11
_TIMED = "import time; t = time.perf_counter(); {}; print(time.perf_counter() - t)"
_SDKS = "import azure.functions, azure.durable_functions; from pydantic import BaseModel; type('M', (BaseModel,), {})"


def measure(folder: Path) -> None:
    app: list[float] = []
    floor: list[float] = []
    for _ in range(RUNS):
        floor.append(_run(_SDKS))
        app.append(_run("import function_app"))
    ratios = [a / f for a, f in zip(app, floor, strict=True)]
    print(f"import of function_app   {statistics.median(app) * 1000:7.0f} ms  (median of {RUNS} fresh processes)")
    print(f"import of its SDKs alone {statistics.median(floor) * 1000:7.0f} ms  azure-functions, -durable, pydantic")
    print(f"ratio                    {statistics.median(ratios):7.2f}     (goal: at most 1.10)")


def _run(statement: str) -> float:
    done = subprocess.run(
        [sys.executable, "-c", _TIMED.format(statement)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return float(done.stdout)
