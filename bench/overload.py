"""800 callers who start without a pause: what is refused says when to come again, and what is accepted ends."""

import asyncio
import time
from collections import Counter
from pathlib import Path

from bench import load
from bench.report import Report
from bench.wire import Answer, Connection, path_of
from tests.support.host import LocalHost

APP = Path(__file__).parent / "app"
CALLERS = 800
SECONDS = 10.0
_PATIENCE = 120.0


class Overload:
    """What the callers saw."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answers: Counter[int] = Counter()
        self.broken = 0
        self.accepted: list[str] = []
        self.unclear = 0
        """Refusals that do not say when to come again."""
        self.health: list[float] = []
        self.unhealthy = 0

    async def run(self) -> None:
        until = time.monotonic() + SECONDS
        await asyncio.gather(self._look(until), *(self._call(until) for _ in range(CALLERS)))

    async def _call(self, until: float) -> None:
        while time.monotonic() < until:
            try:
                async with Connection(self.url) as connection:
                    while time.monotonic() < until:
                        self._saw(await connection.ask("POST", "/nothing/n1:do", b"{}"))
            except (OSError, asyncio.IncompleteReadError):
                self.broken += 1

    def _saw(self, answer: Answer) -> None:
        self.answers[answer.status] += 1
        if answer.status == 202:
            self.accepted.append(path_of(answer.headers["operation-location"]))
        elif answer.status not in (429, 503) or "retry-after" not in answer.headers:
            self.unclear += 1

    async def _look(self, until: float) -> None:
        while time.monotonic() < until:
            began = time.perf_counter()
            async with Connection(self.url) as connection:
                self.unhealthy += (await connection.ask("GET", "/health")).status != 200
            self.health.append((time.perf_counter() - began) * 1000)
            await asyncio.sleep(0.1)

    async def ends(self) -> int:
        """How many of what was accepted did not end."""
        left, until = self.accepted, time.monotonic() + _PATIENCE
        async with Connection(self.url) as connection:
            while left and time.monotonic() < until:
                left = [each for each in left if b'"Succeeded"' not in (await connection.ask("GET", each)).body]
        return len(left)


def measure(folder: Path, report: Report, *, rounds: int, rivals: bool) -> None:
    with LocalHost(folder / "data", app_root=APP) as host:
        alone = asyncio.run(load.rate(load.operations(load.ours(host.url), 300, 16), 300))
        seen = Overload(host.url)
        asyncio.run(seen.run())
        lost = asyncio.run(seen.ends())
    offered = seen.answers.total() / SECONDS
    print(f"{CALLERS} callers for {SECONDS:g} s: {offered:.0f} starts/s, with 16 callers {alone:.0f} operations/s")
    print(f"  answers {dict(seen.answers)}, broken {seen.broken}, accepted {len(seen.accepted)}, not ended {lost}")
    worst = max(seen.health)
    print(f"  /health refused {seen.unhealthy} times of {len(seen.health)}, at the most {worst:.0f} ms")
    report.add({"overload": [float(lost + seen.unclear + seen.unhealthy + seen.broken)]})
