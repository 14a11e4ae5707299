"""Load of one kind on one system, and what it took."""

import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from bench.wire import Answer, Connection, path_of

_TICKS = os.sysconf("SC_CLK_TCK")
_PAUSE = 0.02
"""Seconds between two polls of one caller."""


@dataclass(frozen=True, slots=True)
class Api:
    """How a system starts work and shows it."""

    url: str
    start: str
    """The path that takes a POST."""
    monitor: Callable[[Answer], str]
    """The path to poll, from the answer to a start."""
    ended: bytes
    """In the answer to a poll once the work has ended."""
    is_keyed: bool = False
    """Whether a start names itself by an `Idempotency-Key`, without which its result is not kept."""


def ours(url: str, action: str = "do") -> Api:
    return Api(
        url, f"/nothing/n1:{action}", lambda answer: path_of(answer.headers["operation-location"]), b'"Succeeded"'
    )


def durable(url: str) -> Api:
    return Api(url, "/bare", lambda answer: path_of(json.loads(answer.body)["statusQueryGetUri"]), b'"Completed"')


def plain(url: str) -> Api:
    """Durable Functions alone, asked by `get_status`."""
    return Api(url, "/bare", lambda answer: f"/bare/{json.loads(answer.body)['id']}", b'"Completed"')


def rival(url: str) -> Api:
    return Api(url, "/start", lambda answer: f"/status/{json.loads(answer.body)['id']}", b'"SUCCESS"')


def restate(url: str) -> Api:
    """Restate's own HTTP API, which is its server's."""

    def output(answer: Answer) -> str:
        return f"/restate/invocation/{json.loads(answer.body)['invocationId']}/output"

    return Api(url, "/rival/nothing/send", output, b'"SUCCESS"', is_keyed=True)


async def deploy(admin: str, service: str) -> None:
    """Have Restate call the service."""
    async with Connection(admin) as connection:
        answer = await connection.ask("POST", "/deployments", json.dumps({"uri": service}).encode())
    assert answer.status == 201, answer


async def start(connection: Connection, api: Api) -> str:
    """The path of the monitor."""
    headers = {"Idempotency_Key": str(uuid4())} if api.is_keyed else {}
    answer = await connection.ask("POST", api.start, b"{}", **headers)
    assert answer.status in (200, 202), answer
    return api.monitor(answer)


async def operations(
    api: Api, count: int, callers: int, *, pause: float = _PAUSE, polls: Counter[int] | None = None
) -> None:
    """So many, each from its start until its end is seen; `polls` counts the answers by their status."""

    async def one(connection: Connection) -> None:
        monitor = await start(connection, api)
        while api.ended not in (answer := await connection.ask("GET", monitor)).body:
            if polls is not None:
                polls[answer.status] += 1
            await asyncio.sleep(pause)

    await _share(api.url, count, callers, one)


async def gets(url: str, path: str, count: int, callers: int) -> None:
    """The same GET again and again."""

    async def one(connection: Connection) -> None:
        answer = await connection.ask("GET", path)
        assert answer.status == 200, answer

    await _share(url, count, callers, one)


async def _share(url: str, count: int, callers: int, one: Callable[[Connection], Awaitable[None]]) -> None:
    left = iter(range(count))

    async def caller() -> None:
        async with Connection(url) as connection:
            for _ in left:
                await one(connection)

    await asyncio.gather(*(caller() for _ in range(callers)))


async def rate(work: Awaitable[None], count: int) -> float:
    """So many a second."""
    began = time.perf_counter()
    await work
    return count / (time.perf_counter() - began)


def cpu(pids: Sequence[int]) -> float:
    """Seconds that these processes and what they have started have used."""
    total = 0.0
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            total += cpu([int(child) for child in task.read_text().split()])
        total += own_cpu(pid)
    return total


def own_cpu(pid: int) -> float:
    """Seconds that this process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
