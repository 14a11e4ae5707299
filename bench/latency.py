"""How long `/health` takes while one caller brings the worst there is, against how long it takes on an idle host."""

import asyncio
import time
from pathlib import Path
from typing import Any

import aiohttp

from bench.prose import chapters
from bench.report import Report
from tests.support.epubs import make_epub
from tests.support.host import LocalHost

CHAPTERS, WORDS = 60, 4_000


def measure(folder: Path, report: Report, *, rounds: int, rivals: bool) -> None:
    book = make_epub(chapters=chapters(CHAPTERS, WORDS))
    with LocalHost(folder / "data") as host:
        found = asyncio.run(_measure(host.url, book))
    print("/health while one caller sends ... (goal: p99 below 50 ms)")
    idle = _quantile(found["nothing"], 0.99)
    for name, values in found.items():
        p50, p99 = _quantile(values, 0.5), _quantile(values, 0.99)
        print(f"  {name:48} p50 {p50:6.1f} ms   p99 {p99:6.1f} ms   {p99 / idle:5.1f} x idle   {len(values)} requests")


async def _measure(url: str, book: bytes) -> dict[str, list[float]]:
    """Milliseconds by what is sent meanwhile."""
    async with aiohttp.ClientSession() as session:
        found = {"nothing": [await _health(session, url) for _ in range(300)]}
        loads = {
            f"an EPUB of {len(book) // 1000} KB": _epub(session, url, book),
            "a CSV of 12 MB of blank lines": _csv(session, url),
            "bodies of 1 MB of 130,000 objects": _bodies(session, f"{url}/book/b:upload-start"),
            "batches of 1 MB": _bodies(session, f"{url}/odata/$batch"),
        }
        for name, load in loads.items():
            task = asyncio.create_task(load)
            found[name] = []
            while not task.done():
                found[name] += [await _health(session, url) for _ in range(10)]
            await task
        return found


async def _epub(session: aiohttp.ClientSession, url: str, book: bytes) -> None:
    for i in range(3):
        transaction = await _uploaded(session, url, f"book/b{i}", book)
        await _run(session, f"{url}/book/b{i}:upload-finish", {"transactionId": transaction})


async def _csv(session: aiohttp.ClientSession, url: str) -> None:
    transaction = await _uploaded(session, url, "files", b"\n" * 12_000_000)
    await _run(session, f"{url}/odata/Books/Library.ProcessLargeFile", {"fileId": transaction})


async def _bodies(session: aiohttp.ClientSession, url: str) -> None:
    body = b'{"requests":[' + b",".join([b'{"b":1}'] * 130_000) + b"]}"
    for _ in range(10):
        async with session.post(url, data=body, headers={"Content-Type": "application/json"}) as answer:
            await answer.read()


async def _run(session: aiohttp.ClientSession, url: str, body: dict[str, Any]) -> None:
    async with session.post(url, json=body, headers={"Prefer": "respond-async"}) as answer:
        assert answer.status == 202, await answer.text()
        monitor = answer.headers.get("Operation-Location") or answer.headers["Location"]
    while True:
        await asyncio.sleep(0.05)
        async with session.get(monitor) as answer:
            if answer.status == 200 and (await answer.json()).get("status") not in ("NotStarted", "Running"):
                return


async def _uploaded(session: aiohttp.ClientSession, url: str, id: str, book: bytes) -> str:
    monitor = await _start(session, f"{url}/{id}:upload-start", {"fileName": "b.epub"})
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
