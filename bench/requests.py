"""Storage requests of one operation, counted where the SDK sends them: on Azurite, in the pipeline's transport."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from azure.core.pipeline.transport import AioHttpTransport

from bench.app.actions.nothing import Nothing
from bench.report import Report
from shared.actions import ActionContext, action
from shared.actions.context import RequestContext
from shared.actions.declaration import Action
from shared.actions.registry import Registry
from shared.composition import Application
from shared.contracts import bodies
from shared.engine.port import Work
from shared.operations.service import StartRequest
from shared.settings import Settings, StorageConnection
from shared.storage.blobs import AzureBlobs
from shared.storage.ports import Container, Table
from shared.storage.tables import AzureTables
from tests.support.host import emulator

OPERATIONS = 20


class Counter:
    """Counts what leaves for the network, re-sent requests included."""

    def __init__(self) -> None:
        self.sent = 0

    def since(self, before: int) -> float:
        return (self.sent - before) / OPERATIONS


class CountingTransport(AioHttpTransport):
    def __init__(self, counter: Counter) -> None:
        super().__init__()
        self._counter = counter

    async def send(self, request: Any, **options: Any) -> Any:
        self._counter.sent += 1
        return await super().send(request, **options)


class Counted:
    """The Azure adapters with a counter in their pipelines."""

    exclusive_since = None

    def __init__(self, connection: StorageConnection, counter: Counter) -> None:
        self._tables = AzureTables(connection, transport=CountingTransport(counter))
        self._blobs = AzureBlobs(connection, transport=CountingTransport(counter))

    def table(self, name: str) -> Table:
        return self._tables.table(name)

    def container(self, name: str) -> Container:
        return self._blobs.container(name)

    async def aclose(self) -> None:
        await self._tables.aclose()
        await self._blobs.aclose()


class Caught:
    """An engine that keeps the work for the bench to run."""

    def __init__(self) -> None:
        self.works: list[Work] = []

    async def start(self, instance_id: str, work: Work) -> None:
        self.works.append(work)


def measure(folder: Path, report: Report, *, rounds: int, rivals: bool) -> None:
    with emulator() as (_, connection):
        asyncio.run(_measure(connection, report))


async def _measure(connection: str, report: Report) -> None:
    counter, engine = Counter(), Caught()
    storage = Counted(StorageConnection(connection_string=connection), counter)
    handled: list[int] = []

    @action("nothing:do", post="nothing/{id}:do")
    async def do_nothing(context: ActionContext, request: Nothing) -> None:
        handled.append(counter.sent)

    app = Application(
        Registry([do_nothing]), settings=Settings.read({}), storage=storage, function_timeout=timedelta(hours=1)
    )
    try:
        await app.service.start(request_of(app, do_nothing, "warm"), engine)
        await app.runner.run(engine.works.pop())
        before = counter.sent
        started = [await app.service.start(request_of(app, do_nothing, f"n{i}"), engine) for i in range(OPERATIONS)]
        starts, before = counter.since(before), counter.sent
        for operation in started:
            await app.service.get("", operation.id)
        polls, before = counter.since(before), counter.sent
        finishes = claims = 0
        for work in engine.works:
            begun = counter.sent
            await app.runner.run(work)
            claims += handled[-1] - begun
            finishes += counter.sent - handled[-1]
        await app.housekeeping.run(engine)  # once in ten minutes it looks at which site has the namespace
        before = counter.sent
        await app.housekeeping.run(engine)
        idle = counter.sent - before
    finally:
        await storage.aclose()
    _print(starts, polls, claims / OPERATIONS, finishes / OPERATIONS, idle)
    report.add({"requests": [starts + (claims + finishes) / OPERATIONS]})


def _print(starts: float, polls: float, claims: float, finishes: float, idle: int) -> None:
    rows: Sequence[tuple[str, float, str]] = (
        ("start", starts, "insert (goal: 1)"),
        ("poll", polls, "point read (goal: 1)"),
        ("claim", claims, "conditional write, on the instance of the start (goal: 1)"),
        ("finish", finishes, "one transaction (goal: 1)"),
        ("idle housekeeping", float(idle), "16 partitions, active and expired"),
    )
    for name, count, what in rows:
        print(f"storage requests per {name:<18} {count:5.1f}  {what}")


def request_of(app: Application, what: Action, id: str) -> StartRequest:
    input = Nothing(id=id)
    content = bodies.canonical_json(input)
    return StartRequest(
        action=what,
        context=RequestContext(owner="", base_url="", api_version="2026-01-01", services=app.services),
        input=input,
        input_json=content,
        owner="",
        method="POST",
        path=f"nothing/{id}:do",
        api_version="2026-01-01",
        fingerprint=bodies.fingerprint(what.name, "POST", content),
    )
