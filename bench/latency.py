"""How long `/health` takes while an EPUB of 600 KB is read, against how long it takes on an idle host."""

import asyncio
import random
import time
from pathlib import Path
from typing import Any

import aiohttp

from tests.epubs import make_epub
from tests.host import LocalHost

CHAPTERS = 60


def measure(folder: Path) -> None:
    book = make_epub(chapters=_chapters())
    with LocalHost(folder / "data") as host:
        idle, busy, seconds = asyncio.run(_measure(host.url, book))
    print(f"/health while an EPUB of {len(book) // 1000} KB is read ({seconds:.1f} s, {len(busy)} requests)")
    for name, values in (("idle", idle), ("busy", busy)):
        print(f"  {name}  p50 {_quantile(values, 0.5):6.1f} ms   p99 {_quantile(values, 0.99):6.1f} ms")
    print(f"  ratio of p99 {_quantile(busy, 0.99) / _quantile(idle, 0.99):5.1f}   (goal: p99 below 50 ms)")


def _chapters() -> list[str]:
    """Prose that packs about three to one, as books do: seeded, so every run reads the same."""
    source = random.Random(7)
    vocabulary = ["".join(source.choices("etaoinshrdlu", k=source.randint(2, 10))) for _ in range(20_000)]
    return [" ".join(source.choices(vocabulary, k=4_000)) for _ in range(CHAPTERS)]


async def _measure(url: str, book: bytes) -> tuple[list[float], list[float], float]:
    async with aiohttp.ClientSession() as session:
        idle = [await _health(session, url) for _ in range(300)]
        transactions = [await _uploaded(session, url, f"b{i}", book) for i in range(3)]
        began = time.perf_counter()
        busy: list[float] = []
        for i, transaction in enumerate(transactions):
            monitor = await _start(session, f"{url}/book/b{i}:upload-finish", {"transactionId": transaction})
            while (await _get(session, monitor))["status"] != "Succeeded":
                busy += [await _health(session, url) for _ in range(10)]
        return idle, busy, time.perf_counter() - began


async def _uploaded(session: aiohttp.ClientSession, url: str, id: str, book: bytes) -> str:
    monitor = await _start(session, f"{url}/book/{id}:upload-start", {"fileName": "b.epub"})
    body: dict[str, Any] = {}
    while body.get("status") != "Succeeded":
        body = await _get(session, monitor)
    async with session.put(body["result"]["uploadUrl"], data=book, headers={"x-ms-blob-type": "BlockBlob"}) as answer:
        assert answer.status == 201, await answer.text()
    return body["result"]["transactionId"]


async def _start(session: aiohttp.ClientSession, url: str, body: dict[str, Any]) -> str:
    async with session.post(url, json=body) as answer:
        assert answer.status == 202, await answer.text()
        return answer.headers["Operation-Location"]


async def _get(session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    async with session.get(url) as answer:
        return await answer.json()


async def _health(session: aiohttp.ClientSession, url: str) -> float:
    began = time.perf_counter()
    async with session.get(f"{url}/health") as answer:
        await answer.read()
    return (time.perf_counter() - began) * 1000


def _quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
