"""How results are handed out: in the monitor at any size, by a link, and as files."""

import json
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from shared.actions import ActionContext, File, Model, Retry, action
from shared.actions.registry import Registry
from shared.composition import Application
from shared.contracts.http import Request, Response
from shared.endpoints.boundary import answer
from shared.engine.port import Work
from tests.support.parts import Input, RecordingEngine, settings, sqlite

SIZE = 50_000_000
RETRY_ONCE: list[str] = []


class Wanted(Model):
    file_name: str


@action("big:make", post="big/{id}:make")
async def big(context: ActionContext, request: Input) -> str:
    return "x" * SIZE


@action("link:make", post="link/{id}:make", result="link", retry=Retry(max_attempts=1))
async def link(context: ActionContext, request: Input) -> dict[str, str]:
    if request.file_name == "fail" and not RETRY_ONCE:
        RETRY_ONCE.append("once")
        raise ValueError
    return {"text": request.file_name}


@action("link:put", put="links/{operation_id}", result="link")
async def put(context: ActionContext, request: Wanted) -> dict[str, str]:
    return {"text": request.file_name}


@action("file:make", post="file/{id}:make")
async def file(context: ActionContext, request: Input) -> File:
    return File(b"a,b\n", file_name="bücher.csv", content_type="text/csv")


ACTIONS = {each.name: each for each in (big, link, put, file)}


class Api:
    """Requests as a host would hand them over, each action run as soon as it is started."""

    def __init__(self, application: Application) -> None:
        self.plane, self.engine, self.runner = application.data_plane, RecordingEngine(), application.runner

    async def start(self, name: str, operation_id: str = "", **input: str) -> dict[str, Any]:
        declared = ACTIONS[name]
        route = {"operation_id": operation_id} if operation_id else {"id": "1"}
        request = Request(
            method=declared.method,
            url=f"http://h:1/{declared.route.format(**route)}",
            headers={"content-type": "application/json"},
            route=route,
            body=json.dumps({"fileName": "a", **input}).encode(),
        )
        started = await answer(request, lambda r: self.plane.start(r, declared, self.engine))
        assert started.status in (200, 201, 202), started.body
        await self.run_all()
        return json.loads(started.body)

    async def run_all(self) -> None:
        for _, started in self.engine.started:
            await self.runner.run(Work.parse(str(started)))
        self.engine.started.clear()

    async def call(self, name: str, id: str) -> Response:
        method = "POST" if name in ("retry", "cancel") else "DELETE" if name == "delete" else "GET"
        suffix = {"result": "/result", "retry": ":retry", "cancel": ":cancel"}.get(name, "")
        request = Request(method=method, url=f"http://h:1/status/{id}{suffix}", route={"operation_id": id})
        engine = [] if name == "cancel" else [self.engine]
        return await answer(request, lambda r: getattr(self.plane, name)(r, *engine))

    async def monitor(self, id: str) -> dict[str, Any]:
        return json.loads((await self.call("status", id)).body)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with sqlite(tmp_path) as storage:
        registry = Registry(list(ACTIONS.values()))
        yield Api(Application(registry, settings=settings(tmp_path), storage=storage))


@pytest.mark.parametrize("route", ["status", "result"])
async def test_memory(api: Api, route: str) -> None:
    """A result of 50 MB is in memory once, in the answer: it is neither parsed nor copied."""
    id = (await api.start("big:make"))["id"]
    tracemalloc.start()
    try:
        response = await api.call(route, id)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    begin = b'"' if route == "result" else b'{"id":"'
    assert (response.status, response.body[: len(begin)]) == (200, begin)
    assert len(response.body) > SIZE
    assert response.body.endswith(b'xxx"' if route == "result" else b'xxx"}')
    assert peak < 60_000_000


async def test_link(api: Api) -> None:
    """The monitor names where the result lies, and has it never; that URL has the bare result."""
    started = await api.start("link:make", fileName="x" * 1_000_000)
    assert "resourceLocation" not in started
    monitor = await api.monitor(started["id"])
    assert monitor["status"] == "Succeeded"
    assert "result" not in monitor
    assert monitor["resourceLocation"] == f"http://h:1/status/{started['id']}/result?api-version=2026-01-01"
    result = await api.call("result", started["id"])
    assert json.loads(result.body) == {"text": "x" * 1_000_000}


async def test_link_of_a_put(api: Api) -> None:
    """A PUT of an operation does so where it was put, and when the same request comes again."""
    started = await api.start("link:put", operation_id="op-7")
    assert "resourceLocation" not in started
    again = await api.start("link:put", operation_id="op-7")
    assert "result" not in again
    assert again["resourceLocation"] == "http://h:1/status/op-7/result?api-version=2026-01-01"
    assert json.loads((await api.call("result", "op-7")).body) == {"text": "a"}


async def test_link_of_what_runs_again(api: Api) -> None:
    """A failed one has no link; the operation that does it again hands out one as well."""
    started = await api.start("link:make", fileName="fail")
    failed = await api.monitor(started["id"])
    assert (failed["status"], "resourceLocation" in failed) == ("Failed", False)
    again = json.loads((await api.call("retry", started["id"])).body)
    await api.run_all()
    monitor = await api.monitor(again["id"])
    assert ("result" in monitor, "resourceLocation" in monitor) == (False, True)


async def test_file(api: Api) -> None:
    """The monitor tells of a file; its result is the file's bytes, to be saved under the file's name."""
    id = (await api.start("file:make"))["id"]
    told = (await api.monitor(id))["result"]
    assert (told["fileName"], told["contentType"], told["size"]) == ("bücher.csv", "text/csv", 4)
    result = await api.call("result", id)
    assert (result.status, result.body, result.content_type) == (200, b"a,b\n", "text/csv")
    assert result.headers["Content-Disposition"] == (
        "attachment; filename=\"b_cher.csv\"; filename*=UTF-8''b%C3%BCcher.csv"
    )
    assert result.headers["X-Content-Type-Options"] == "nosniff"


async def test_file_that_is_gone(api: Api) -> None:
    """Once the operation is deleted so is the file."""
    id = (await api.start("file:make"))["id"]
    assert (await api.call("delete", id)).status == 204
    assert (await api.call("result", id)).status == 404
