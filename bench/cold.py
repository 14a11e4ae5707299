"""The first answers of a fresh host that are made from the declarations of the whole sample."""

import asyncio
import time
from pathlib import Path

from bench.report import Report
from bench.wire import Connection
from tests.support.host import LocalHost

FIRST = {
    "openapi": "/openapi.json",
    "metadata": "/odata/$metadata",
    "query": "/odata/Books?$filter=title%20eq%20%27x%27",
}
"""Each asked of a host of its own, after one /health."""


def measure(folder: Path, report: Report, *, rounds: int, rivals: bool) -> None:
    found: dict[str, list[float]] = {key: [] for key in FIRST}
    for number in range(rounds):
        for key, path in FIRST.items():
            with LocalHost(folder / f"{key}-{number}") as host:
                found[key].append(asyncio.run(_first(host.url, path)))
    report.add(found)


async def _first(url: str, path: str) -> float:
    """Milliseconds."""
    async with Connection(url) as connection:
        await connection.ask("GET", "/health")
        began = time.perf_counter()
        answer = await connection.ask("GET", path)
        assert answer.status == 200, answer
        return (time.perf_counter() - began) * 1000
