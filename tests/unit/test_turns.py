"""Nothing that one request brings holds up the event loop, whatever the profile: the worst of each kind."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from shared.actions import (
    ActionContext,
    ArmResource,
    ArmTrackedResource,
    Model,
    ODataService,
    RequestContext,
    action,
    call,
)
from shared.actions.odata.entities import Create, EntityChange, Stored
from shared.actions.registry import Registry
from shared.composition import Application
from shared.contracts.delegation import SECRET_HEADER
from shared.contracts.http import Request, Response
from shared.endpoints.boundary import answer
from shared.engine.port import Work
from tests.support.arm_parts import path_of
from tests.support.arm_things import NAMESPACE
from tests.support.parts import RecordingEngine, settings, sqlite
from tests.support.turns import no_garbage_of_others, tries, watched

__all__ = ["no_garbage_of_others"]

MB = 1024 * 1024


class Item(Model):
    a: int = 0


class Items(Model):
    items: list[Item] = Field(default_factory=list[Item])


class Anything(Items):
    data: Any = None


class Row(Model):
    id: str
    text: str = ""


class Table:
    """Rows without end, as many as a page takes; what is written is forgotten."""

    max_changes = 1000

    async def scan(self, *, after: str | None = None) -> AsyncIterator[Sequence[Stored]]:
        for page in range(20):
            yield [Stored(Row(id=f"r{page:02}{n:03}", text="x" * 8_000), "1") for n in range(200)]

    async def get(self, key: str) -> Stored | None:
        return Stored(Row(id=key), "1")

    async def write(self, changes: Sequence[EntityChange], *, by: str = "") -> Sequence[Stored | None]:
        return [Stored(each.entity, "1") if isinstance(each, Create) else None for each in changes]


Thing = ArmTrackedResource[Anything]
things = ArmResource(NAMESPACE, "things", api_versions=["2026-01-01"], properties=Anything)
service = ODataService("Tables")
rows = service.writable_entity_set("Rows", Row, key="id", source=Table)


class Named(Anything):
    id: str


@action("thing:work", post="thing/{id}:work")
async def work(context: ActionContext, request: Named) -> Anything:
    return request


@action("thing:put", put="jobs/{operation_id}")
async def job(context: ActionContext, request: Anything) -> None: ...


@call("thing:call", post="things:call")
async def echo(context: RequestContext, request: Anything) -> Anything:
    return request


@things.create_or_replace()
async def put_thing(context: ActionContext, thing: Thing) -> Thing:
    return thing


@things.action("run")
async def run_thing(context: ActionContext, thing: Thing, request: Anything) -> None: ...


@service.action("Work")
async def odata_work(context: ActionContext, request: Items) -> None: ...


BODIES: dict[str, Callable[[], bytes]] = {
    "objects": lambda: b'{"items":[' + b",".join([b'{"a":1}'] * (MB // 8 - 10)) + b"]}",
    "wrong objects": lambda: b'{"items":[' + b",".join([b'{"b":1}'] * (MB // 8 - 10)) + b"]}",
    "names": lambda: json.dumps({"data": {f"n{n:06}": 1 for n in range(MB // 14 - 10)}}).encode(),
    "unknown names": lambda: json.dumps({f"n{n:06}": 1 for n in range(MB // 14)}).encode(),
    "numbers": lambda: b'{"data":[' + b",".join([b"1.5e-7"] * (MB // 7 - 10)) + b"]}",
    "escapes": lambda: b'{"data":"' + b"\\u00e9" * (MB // 6 - 10) + b'"}',
    "deep": lambda: b'{"data":' + b"[" * (MB // 2 - 20) + b"]" * (MB // 2 - 20) + b"}",
    "broken at its end": lambda: b'{"data":[' + b"[]," * (MB // 3 - 10),
}


class Api:
    """Requests to every profile of one application, as a host would hand them over."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.engine = RecordingEngine()

    async def send(self, serve: Callable[[Request], Any], url: str, body: bytes, **changes: Any) -> Response:
        headers = {"content-type": "application/json", **changes.pop("headers", {})}
        request = Request(url=f"http://h:1{url}", headers=headers, body=body, **{"method": "POST", **changes})
        # A host serves each request in a task of its own: none begins in the turn in which another one ends.
        await asyncio.sleep(0)
        response = await answer(request, serve)
        await asyncio.sleep(0)
        return response

    async def profiles(self, body: bytes) -> list[int]:
        """The statuses of what takes a body of any kind."""
        app, engine = self.application, self.engine
        created = await app.external.create(kind="k", owner="")
        arm = path_of("things", "t")
        route = {"subscriptionId": arm.split("/")[2], "resourceGroupName": "rg", "name": "t"}
        put, run = things.verbs
        update = {"route": {"operation_id": created.operation.id}, "headers": {SECRET_HEADER: created.secret}}
        resource = {"method": "PUT", "route": route, "query": {"api-version": "2026-01-01"}}
        answers = [
            await self.send(lambda r: app.data_plane.start(r, work, engine), "/thing/1:work", body, route={"id": "1"}),
            await self.send(lambda r: app.calls.run(r, echo), "/things:call", body),
            await self.send(app.updates.update, "/status/x:update", body, **update),
            await self.send(lambda r: app.arm.start(r, things, put, engine), arm, body, **resource),
            await self.send(
                lambda r: app.arm.start(r, things, run, engine), f"{arm}/run", body, **{**resource, "method": "POST"}
            ),
            *[await self.send(lambda r: app.odata.answer(r, engine), f"/odata/{each}", body) for each in ODATA],
        ]
        return [each.status for each in answers]


ODATA = ("Work", "Rows", "$batch")


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with sqlite(tmp_path) as storage:
        registry = Registry([work, job], calls=[echo], resources=[things], services=[service])
        found = Api(Application(registry, settings=settings(tmp_path), storage=storage))
        # Modules are loaded by the first request that needs them, whatever its body.
        await found.profiles(b"{}")
        found.engine.started.clear()
        yield found


@pytest.mark.alone
@pytest.mark.parametrize("kind", BODIES)
async def test_bodies(api: Api, caplog: pytest.LogCaptureFixture, kind: str) -> None:
    """As long a body as is taken, of each kind, on every route that takes one."""
    body = BODIES[kind]()
    assert MB * 0.9 < len(body) <= MB
    for each in tries(caplog):
        async with each:
            found = await api.profiles(body)
        assert set(found) <= {200, 201, 202, 204, 400, 404, 413}, found


async def test_a_batch_of_many(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    """A thousand requests, each alone, and in one group."""
    for group in ({}, {"atomicityGroup": "g"}):
        requests = [
            {"id": str(n), "method": "POST", "url": "Rows", "body": {"id": f"r{n}", "text": "t" * 800}, **group}
            for n in range(1000)
        ]
        body = json.dumps({"requests": requests}).encode()
        async with watched(caplog):
            response = await api.send(api.application.odata.answer, "/odata/$batch", body)
        assert [each["status"] for each in json.loads(response.body)["responses"]] == [201] * 1000


@pytest.mark.parametrize(
    "part",
    [
        b"",
        b"\r\n",
        b"Content-Type: application/http\r\n\r\nPOST Rows HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{}\r\n",
        b"X: y\r\n" * 1_000,
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b--\r\n",
        b"-" * 100_000,
    ],
    ids=["empty", "lines", "requests", "headers", "nested", "dashes"],
)
async def test_a_multipart_batch_of_many(api: Api, caplog: pytest.LogCaptureFixture, part: bytes) -> None:
    """As many parts as a body has room for, well-formed or not."""
    whole = b"--b\r\n" + part
    body = whole * ((MB - 100) // len(whole)) + b"\r\n--b--\r\n"
    headers = {"content-type": "multipart/mixed; boundary=b"}
    for each in tries(caplog):
        async with each:
            response = await api.send(api.application.odata.answer, "/odata/$batch", body, headers=headers)
        assert response.status in (200, 400, 413)


async def test_a_page_of_many(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    """As long a page as is had, of long entities, and a filter that looks at all of them."""
    queries = ({"$top": "1000"}, {"$filter": "contains(text,'" + "x" * 500 + "y')"}, {"$orderby": "text desc,id desc"})
    for query in queries:
        for each in tries(caplog):
            async with each:
                response = await api.send(api.application.odata.answer, "/odata/Rows", b"", method="GET", query=query)
            assert response.status == 200


async def test_a_large_result(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    """What a request has brought comes back in the monitor, run and polled without a long turn."""
    body = BODIES["objects"]()
    app, engine = api.application, api.engine
    for each in tries(caplog):
        async with each:
            await api.send(lambda r: app.data_plane.start(r, work, engine), "/thing/1:work", body, route={"id": "1"})
            _, started = engine.started.pop()
            await app.runner.run(Work.parse(str(started)))
            monitor = {"method": "GET", "route": {"operation_id": started.locator.id}}
            shown = await api.send(lambda r: app.data_plane.status(r, engine), "/status/x", b"", **monitor)
        assert json.loads(shown.body)["result"]["items"] == json.loads(body)["items"]


async def test_a_large_parameter(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    """A PUT of an operation, whose monitor repeats what was sent."""
    put = {"method": "PUT", "route": {"operation_id": "j"}}
    body = BODIES["objects"]()
    async with watched(caplog):
        started = await api.send(lambda r: api.application.data_plane.start(r, job, api.engine), "/jobs/j", body, **put)
        shown = await api.send(
            lambda r: api.application.data_plane.operation_status(r, job, api.engine),
            "/jobs/j",
            b"",
            **{**put, "method": "GET"},
        )
    assert (started.status, shown.status, len(shown.body) > MB * 0.9) == (201, 200, True)
