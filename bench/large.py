"""A result of 50 MB: how long the monitor and the result take, and what the host holds for them."""

import asyncio
import statistics
import time
from pathlib import Path

from bench.report import Report
from bench.wire import Connection, path_of
from tests.support.host import LocalHost

APP = Path(__file__).parents[1] / "tests" / "e2e" / "test_app"
_SIZE = 50_000_000
"""Bytes: the action makes characters of two."""
_RUNS = 5


def measure(folder: Path, report: Report, *, rounds: int, rivals: bool) -> None:
    with LocalHost(folder / "data", app_root=APP) as host:
        found = asyncio.run(_measure(host))
    for name, (milliseconds, megabytes) in found.items():
        print(f"50 MB, {name:8} {statistics.median(milliseconds):6.0f} ms   {max(megabytes):6.0f} MB above rest")
    report.add({"large": [max(max(megabytes) for _, megabytes in found.values())]})


async def _measure(host: LocalHost) -> dict[str, tuple[list[float], list[float]]]:
    """By what is asked for: milliseconds, and megabytes of memory above those before."""
    found: dict[str, tuple[list[float], list[float]]] = {"monitor": ([], []), "result": ([], [])}
    async with Connection(host.url) as connection:
        started = await connection.ask("POST", "/trial/x:large", b'{"size": %d}' % (_SIZE // 2))
        monitor = path_of(started.headers["operation-location"])
        while "retry-after" in (await connection.ask("GET", monitor)).headers:  # noqa: ASYNC110 - that is a caller
            await asyncio.sleep(0.1)
        paths = {"monitor": monitor, "result": monitor.replace("?", "/result?")}
        for _ in range(_RUNS):
            for name, path in paths.items():
                rest = _reset(host.pid)
                began = time.perf_counter()
                answer = await connection.ask("GET", path)
                found[name][0].append((time.perf_counter() - began) * 1000)
                assert len(answer.body) > _SIZE, answer.status
                found[name][1].append(_memory(host.pid, "VmHWM") - rest)
    return found


def _reset(pid: int) -> float:
    """Forget the highest memory so far (proc(5), `clear_refs`); what the process holds now, in MB."""
    Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")
    return _memory(pid, "VmRSS")


def _memory(pid: int, what: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{what}:")) / 1000
