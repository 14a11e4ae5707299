"""The data plane from request to answer, without a host: what each route says and what it refuses."""

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from shared.actions import ActionContext, ActionFailed, RequestContext, action, read
from shared.actions.registry import Registry
from shared.composition import Application
from shared.contracts.http import Request, Response
from shared.endpoints.boundary import answer
from shared.endpoints.unknown import unknown_route
from shared.engine.port import Work
from tests.support.parts import Faults, FaultyStorage, Input, RecordingEngine, settings, sqlite

JSON = {"content-type": "application/json"}


@action("thing:work", post="thing/{id}:work", retry_after=3)
async def work(context: ActionContext, request: Input) -> Input | None:
    if request.file_name == "fail":
        raise ActionFailed("Bad", "No.")
    return request


@action("thing:quiet", post="thing/{id}:quiet")
async def quiet(context: ActionContext, request: Input) -> None: ...


@read("thing:get", get="thing/{id}")
async def get_thing(context: RequestContext, request: Input) -> dict[str, str]:
    return {"id": request.id, "link": context.link("thing", skipToken="a b")}


class Api:
    """Requests as a host would hand them over."""

    def __init__(self, application: Application, faults: Faults) -> None:
        self.application, self.faults = application, faults
        self.plane, self.engine = application.data_plane, RecordingEngine()

    async def start(
        self,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        *,
        verb: str = "work",
        thing: str = "1",
        url: str = "",
        raw: bytes | None = None,
    ) -> Response:
        request = Request(
            method="POST",
            url=url or f"http://h:1/thing/{thing}:{verb}",
            headers={**JSON, **(headers or {})},
            route={"id": thing},
            body=raw if raw is not None else json.dumps(body or {}).encode(),
        )
        declared = self.application.registry.actions[f"thing:{verb}"]
        return await answer(request, lambda r: self.plane.start(r, declared, self.engine))

    async def call(self, name: str, id: str = "", **query: str) -> Response:
        methods = {"cancel": "POST", "delete": "DELETE"}
        suffix = {"cancel": ":cancel", "result": "/result"}.get(name, "")
        request = Request(
            method=methods.get(name, "GET"),
            url=f"http://h:1/status/{id}{suffix}",
            route={"operation_id": id} if id else {},
            query=query,
        )
        engine = [self.engine] if name in ("status", "result", "delete") else []
        return await answer(request, lambda r: getattr(self.plane, name)(r, *engine))

    async def read(self, thing: str, **query: str) -> Response:
        request = Request(method="GET", url=f"http://h:1/thing/{thing}", route={"id": thing}, query=query)
        return await answer(request, lambda r: self.plane.read(r, get_thing))

    async def run_all(self) -> None:
        for _, started in self.engine.started:
            await self.application.runner.run(Work.parse(str(started)))


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with sqlite(tmp_path) as inner:
        storage = FaultyStorage(inner, Faults())
        registry = Registry([work, quiet], [get_thing])
        yield Api(Application(registry, settings=settings(tmp_path), storage=storage), storage.faults)


def body(response: Response) -> Any:
    return json.loads(response.body)


def refused(response: Response, status: int, code: str) -> None:
    assert (response.status, response.headers["x-ms-error-code"], body(response)["error"]["code"]) == (
        status, code, code,
    )  # fmt: skip


async def test_start(api: Api) -> None:
    """202 with the monitor as body, where it is, its id, and when to ask; the monitor is readable at once."""
    response = await api.start({"fileName": "a"})
    started = body(response)
    assert response.status == 202
    assert response.headers["Operation-Location"] == f"http://h:1/status/{started['id']}?api-version=2026-01-01"
    assert (response.headers["Operation-Id"], response.headers["Retry-After"]) == (started["id"], "3")
    assert (started["status"], started["kind"], started["attempt"]) == ("NotStarted", "thing:work", 0)
    assert set(started) == {"id", "kind", "status", "createdDateTime", "lastActionDateTime", "attempt"}
    monitor = await api.call("status", started["id"])
    assert (monitor.status, body(monitor), monitor.headers["Retry-After"]) == (200, started, "3")


async def test_end(api: Api) -> None:
    """Once succeeded, the monitor has the result, no Retry-After, and says when it goes; the result is as stored."""
    id = body(await api.start({"fileName": "a"}))["id"]
    refused(pending := await api.call("result", id), 409, "OperationNotFinished")
    assert pending.headers["Retry-After"] == "3"
    await api.run_all()
    monitor = await api.call("status", id)
    assert (body(monitor)["status"], body(monitor)["result"]) == ("Succeeded", {"id": "1", "fileName": "a"})
    assert body(monitor)["percentComplete"] == 100
    assert body(monitor)["expiresAt"] > body(monitor)["createdDateTime"]
    assert "Retry-After" not in monitor.headers
    result = await api.call("result", id)
    assert (result.status, body(result), result.content_type) == (
        200, {"id": "1", "fileName": "a"}, "application/json",
    )  # fmt: skip


async def test_failure(api: Api) -> None:
    """A failure is inside the monitor, which answers 200; its result is 409."""
    id = body(await api.start({"fileName": "fail"}))["id"]
    await api.run_all()
    monitor = await api.call("status", id)
    assert monitor.status == 200
    assert body(monitor)["status"] == "Failed"
    assert body(monitor)["error"] == {"code": "Bad", "message": "No."}
    assert "result" not in body(monitor)
    refused(await api.call("result", id), 409, "OperationFailed")


async def test_no_result(api: Api) -> None:
    """An action that returns nothing has a result of 204, and none in its monitor."""
    id = body(await api.start(verb="quiet"))["id"]
    await api.run_all()
    result = await api.call("result", id)
    assert (result.status, result.body) == (204, b"")
    assert "result" not in body(await api.call("status", id))


async def test_replay(api: Api) -> None:
    """The same Operation-Id and request answer 202 again, even when it is over; another request is 409."""
    first = await api.start({"fileName": "a"}, {"operation-id": "mine"})
    await api.run_all()
    again = await api.start({"id": "1", "fileName": "a"}, {"operation-id": "mine"})
    assert again.status == first.status == 202
    assert body(again)["result"] == {"id": "1", "fileName": "a"}
    assert "Retry-After" not in again.headers
    refused(await api.start({"fileName": "b"}, {"operation-id": "mine"}), 409, "OperationIdInUse")
    refused(await api.start({"fileName": "a"}, {"operation-id": "mine"}, thing="2"), 409, "OperationIdInUse")
    assert len(api.engine.started) == 1


async def test_cancel_and_delete(api: Api) -> None:
    """Cancel answers the monitor, a finished one unchanged; delete is 409 before the end and 204 after."""
    id = body(await api.start())["id"]
    refused(await api.call("delete", id), 409, "OperationNotFinished")
    canceled = await api.call("cancel", id)
    assert (canceled.status, body(canceled)["status"]) == (200, "Canceled")
    assert body(canceled)["error"]["code"] == "OperationCanceled"
    assert body(await api.call("cancel", id)) == body(canceled)
    refused(await api.call("result", id), 409, "OperationFailed")
    deleted = await api.call("delete", id)
    assert (deleted.status, deleted.body) == (204, b"")
    assert api.engine.purged == [instance for instance, _ in api.engine.started]
    for name in ("status", "result", "cancel", "delete"):
        refused(await api.call(name, id), 404, "OperationNotFound")


@pytest.mark.parametrize("name", ["status", "result", "cancel", "delete"])
@pytest.mark.parametrize("id", ["unknown", "a b", "a%2Fb", "\0", "-a", "a" * 65, "é"])
async def test_unknown_operations(api: Api, name: str, id: str) -> None:
    """An unknown operation is 404, and so is an id that cannot be one."""
    refused(await api.call(name, id), 404, "OperationNotFound")


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        ({"raw": b"{"}, 400, "InvalidJson"),
        ({"raw": b"[]"}, 400, "InvalidJson"),
        ({"raw": b"x" * 1_048_577}, 413, "RequestBodyTooLarge"),
        ({"raw": b"", "headers": {"transfer-encoding": "chunked"}}, 411, "LengthRequired"),
        ({"raw": b"{}", "headers": {"content-type": "text/plain"}}, 415, "UnsupportedMediaType"),
        ({"body": {"fileName": 1}}, 400, "InvalidInput"),
        ({"body": {"more": 1}}, 400, "InvalidInput"),
        ({"body": {"id": "2"}}, 400, "RouteMismatch"),
        ({"headers": {"operation-id": "a/b"}}, 400, "InvalidOperationId"),
        ({"headers": {"operation-id": ""}}, 400, "InvalidOperationId"),
        ({"thing": "a b"}, 400, "InvalidResourceId"),
        ({"thing": "a%2Fb"}, 400, "InvalidResourceId"),
        ({"thing": "\x01"}, 400, "InvalidResourceId"),
        ({"thing": "a" * 65}, 400, "InvalidResourceId"),
        ({"thing": "a:b"}, 400, "InvalidResourceId"),
        ({"url": "http://bad host/thing/1:work"}, 400, "InvalidHost"),
    ],
    ids=str,
)
async def test_bad_starts(api: Api, arguments: dict[str, Any], status: int, code: str) -> None:
    """Bad input has its status and code, and nothing is created: no write, no orchestration."""
    refused(await api.start(**arguments), status, code)
    assert (api.faults.writes, api.engine.started) == (0, [])


async def test_storage_down(api: Api) -> None:
    """Without storage every route answers 503 with Retry-After."""
    api.faults.down = True
    for response in (await api.start(), await api.call("status", "x"), await api.call("cancel", "x")):
        refused(response, 503, "StorageUnavailable")
        assert int(response.headers["Retry-After"]) >= 1


async def test_list(api: Api) -> None:
    """Newest first, filtered, in pages that follow nextLink."""
    ids = [body(await api.start(verb=verb))["id"] for verb in ("work", "quiet", "work")]
    assert [row["id"] for row in body(await api.call("list"))["value"]] == ids[::-1]
    assert "nextLink" not in body(await api.call("list"))
    page = body(await api.call("list", top="1", filter="kind eq 'thing:work'"))
    assert [row["id"] for row in page["value"]] == [ids[2]]
    link, _, query = page["nextLink"].partition("?")
    assert link == "http://h:1/status"
    parts = dict(part.split("=", 1) for part in query.split("&"))
    assert parts["filter"] == "kind%20eq%20%27thing%3Awork%27"
    more = body(await api.call("list", top="1", filter="kind eq 'thing:work'", skipToken=parts["skipToken"]))
    assert [row["id"] for row in more["value"]] == [ids[0]]
    refused(await api.call("list", filter="x"), 400, "InvalidFilter")
    refused(await api.call("list", **{"api-version": "1"}), 400, "UnsupportedApiVersionValue")


async def test_read(api: Api) -> None:
    """A read answers its value with absolute links; unknown parameters, bad ids and unknown verbs are refused."""
    response = await api.read("1", code="key")
    assert body(response) == {"id": "1", "link": "http://h:1/thing?api-version=2026-01-01&skipToken=a+b"}
    refused(await api.read("1", more="x"), 400, "InvalidInput")
    refused(await api.read("a b"), 400, "InvalidResourceId")
    refused(unknown := await api.read("1:fly"), 404, "ActionNotFound")
    assert "quiet, work" in body(unknown)["error"]["message"]
    refused(wrong := await api.read("1:work"), 405, "MethodNotAllowed")
    assert wrong.headers["Allow"] == "POST"


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("PUT", "/thing/1", 405, "GET, HEAD"),
        ("GET", "/thing/1:work", 405, "POST"),
        ("POST", "/status/x", 405, "DELETE, GET, HEAD"),
        ("POST", "/thing/1:fly", 404, None),
        ("POST", "/status/x:fly", 404, None),
        ("GET", "/nothing", 404, None),
        ("GET", "/thing/a b", 404, None),
    ],
)
async def test_fallback(api: Api, method: str, path: str, status: int, allow: str | None) -> None:
    """405 with Allow for a known path; 404 for an unknown one, and for an unknown action, naming the known ones."""
    error = unknown_route(api.application.endpoints, Request(method=method, url=f"http://h{path}"))
    assert (error.status, error.headers.get("Allow")) == (status, allow)
    if path.endswith(":fly"):
        assert ("work" if "thing" in path else "cancel") in error.message
