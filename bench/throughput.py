"""No-op operations a second, from start to Succeeded through HTTP, against Durable Functions alone on the same host."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.host import LocalHost

APP = Path(__file__).parent / "app"
CLIENTS = 16
OPERATIONS = {"sqlite": 800, "azurite": 320}


def measure(folder: Path) -> None:
    for store, count in OPERATIONS.items():
        with LocalHost(folder / store, store=store, app_root=APP) as host:
            asyncio.run(_both(host.url, 64))
            ours, bare = asyncio.run(_both(host.url, count))
        print(f"operations a second, {store:<8} {ours:6.0f}  start to Succeeded, {CLIENTS} clients, {count} operations")
        print(f"  Durable Functions alone      {bare:6.0f}  in memory on the same host: no record, nothing kept")
        print(f"  ratio                        {ours / bare:6.2f}")


async def _both(url: str, count: int) -> tuple[float, float]:
    async with aiohttp.ClientSession() as session:
        return await _rate(lambda: _operation(session, url), count), await _rate(lambda: _bare(session, url), count)


async def _rate(one: Callable[[], Awaitable[None]], count: int) -> float:
    left = iter(range(count))

    async def client() -> None:
        for _ in left:
            await one()

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return count / (time.perf_counter() - began)


async def _operation(session: aiohttp.ClientSession, url: str) -> None:
    async with session.post(f"{url}/nothing/n1:do") as answer:
        assert answer.status == 202, await answer.text()
        monitor = answer.headers["Operation-Location"]
    await _until(session, monitor, lambda body: body["status"] == "Succeeded")


async def _bare(session: aiohttp.ClientSession, url: str) -> None:
    async with session.post(f"{url}/bare", data=b"n1") as answer:
        assert answer.status == 202, await answer.text()
        monitor = (await answer.json())["statusQueryGetUri"]
    await _until(session, monitor, lambda body: body["runtimeStatus"] == "Completed")


async def _until(session: aiohttp.ClientSession, url: str, done: Callable[[dict[str, Any]], bool]) -> None:
    while True:
        async with session.get(url) as answer:
            if done(await answer.json()):
                return
        await asyncio.sleep(0.005)
