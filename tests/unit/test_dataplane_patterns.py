"""PUT of a resource, DELETE, PUT of an operation, and `Prefer: wait`, from request to answer without a host."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from shared.actions import Accepted, ActionContext, ActionFailed, Model, RequestError, action
from shared.actions.registry import Registry
from shared.composition import Application
from shared.contracts.http import Request, Response
from shared.endpoints.boundary import answer
from shared.engine.port import Work
from tests.support.parts import Faults, FaultyStorage, RecordingEngine, settings, sqlite
from tests.unit.test_dataplane import body, refused

THINGS: dict[str, str] = {}
"""What the handlers below store."""


class Thing(Model):
    id: str
    title: str


class Wish(Model):
    id: str
    title: str | None = None


class ThingRef(Model):
    id: str


class Job(Model):
    words: list[str]
    loud: bool = False


@action("thing:put", put="thing/{id}", exclusive="thing/{id}", retry_after=3)
async def put_thing(context: ActionContext, request: Wish) -> Thing:
    if request.title == "fail":
        raise ActionFailed("Bad", "No.")
    THINGS[request.id] = request.title or "Untitled"
    return Thing(id=request.id, title=THINGS[request.id])


@put_thing.precondition
def title_is_free(request: Wish) -> None:
    if request.title == "taken":
        raise RequestError(409, "TitleTaken", "No.")


@put_thing.accepted
def thing_to_be(request: Wish) -> Accepted:
    thing = Thing(id=request.id, title=request.title or THINGS.get(request.id, ""))
    return Accepted(created=request.id not in THINGS, resource=thing)


@action("thing:delete", delete="thing/{id}", exclusive="thing/{id}")
async def delete_thing(context: ActionContext, request: ThingRef) -> None:
    THINGS.pop(request.id, None)


@delete_thing.precondition
def thing_is_there(request: ThingRef) -> None:
    if request.id not in THINGS:
        raise RequestError(404, "ThingNotFound", "No.")


@action("job:run", put="jobs/{operation_id}")
async def run_job(context: ActionContext, request: Job) -> str:
    return " ".join(request.words)


@action("thing:shout", post="thing/{id}:shout")
async def shout(context: ActionContext, request: ThingRef) -> str:
    return request.id.upper()


ACTIONS = {"put": put_thing, "delete": delete_thing, "job": run_job, "shout": shout}


class Api:
    """Requests as a host would hand them over."""

    def __init__(self, application: Application, faults: Faults) -> None:
        self.application, self.faults = application, faults
        self.plane, self.engine = application.data_plane, RecordingEngine()

    async def start(
        self, which: str, id: str, sent: Any = None, *, raw: bytes | None = None, **headers: str
    ) -> Response:
        declared = ACTIONS[which]
        name = "operation_id" if which == "job" else "id"
        path = declared.route.replace(f"{{{name}}}", id)
        content = raw if raw is not None else (b"" if sent is None else json.dumps(sent).encode())
        all_headers = {"content-type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}
        request = Request(
            method=declared.method, url=f"http://h:1/{path}", headers=all_headers, route={name: id}, body=content
        )
        return await answer(request, lambda r: self.plane.start(r, declared, self.engine))

    async def at_operation(self, what: str, id: str) -> Response:
        method = {"status": "GET", "cancel": "POST", "delete": "DELETE"}[what]
        suffix = ":cancel" if what == "cancel" else ""
        request = Request(method=method, url=f"http://h:1/jobs/{id}{suffix}", route={"operation_id": id})
        endpoint = getattr(self.plane, f"operation_{what}")
        engine = [self.engine] if what in ("status", "delete") else []
        return await answer(request, lambda r: endpoint(r, run_job, *engine))

    async def status(self, id: str) -> Response:
        request = Request(method="GET", url=f"http://h:1/status/{id}", route={"operation_id": id})
        return await answer(request, lambda r: self.plane.status(r, self.engine))

    async def alias(self, thing: str, id: str) -> Response:
        url = f"http://h:1/thing/{thing}/operations/{id}"
        request = Request(method="GET", url=url, route={"id": thing, "operation_id": id})
        return await answer(request, lambda r: self.plane.of_resource(r, "thing/{id}", self.engine))

    async def run_all(self) -> None:
        started, self.engine.started = self.engine.started, []
        for _, work in started:
            await self.application.runner.run(Work.parse(str(work)))

    async def run_what_is_started(self, starting: "asyncio.Task[Response]") -> Response:
        """Run what a start that waits has begun; its answer."""
        while not self.engine.started:
            if (await asyncio.wait({starting}, timeout=0.01))[0]:
                break
        await self.run_all()
        return await starting


@pytest.fixture
async def api(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Api]:
    """A start waits for its end for `max_wait` seconds at most, 1 unless the test says otherwise."""
    marker = request.node.get_closest_marker("max_wait")
    THINGS.clear()
    async with sqlite(tmp_path) as inner:
        storage = FaultyStorage(inner, Faults())
        application = Application(
            Registry(ACTIONS.values()),
            settings=settings(tmp_path, MAX_WAIT_SECONDS=marker.args[0] if marker else "1"),
            storage=storage,
        )
        yield Api(application, storage.faults)


def lro_headers(response: Response) -> Mapping[str, str]:
    names = ("Operation-Location", "Operation-Id", "Retry-After", "Preference-Applied", "Location")
    return {name: value for name, value in response.headers.items() if name in names}


async def test_put_new_resource(api: Api) -> None:
    """201 with the resource as it is going to be, its monitor's URL and id, and whole seconds to wait."""
    response = await api.start("put", "1", {"title": "One"})
    assert (response.status, body(response)) == (201, {"id": "1", "title": "One"})
    id = response.headers["Operation-Id"]
    assert lro_headers(response) == {
        "Operation-Location": f"http://h:1/status/{id}?api-version=2026-01-01", "Operation-Id": id, "Retry-After": "3",
    }  # fmt: skip
    assert THINGS == {}
    await api.run_all()
    assert THINGS == {"1": "One"}


async def test_put_existing_resource(api: Api) -> None:
    """200 where it was there before."""
    THINGS["1"] = "Old"
    assert (await api.start("put", "1", {})).status == 200


async def test_monitor_of_a_put_has_no_result(api: Api) -> None:
    """The resource is the result: the monitor of a PUT, and of a DELETE, never has one."""
    put = await api.start("put", "1", {"title": "One"})
    await api.run_all()
    delete = await api.start("delete", "1")
    await api.run_all()
    for response in (put, delete):
        monitor = body(await api.status(response.headers["Operation-Id"]))
        assert monitor["status"] == "Succeeded"
        assert "result" not in monitor


async def test_replayed_put(api: Api) -> None:
    """The same id and request answer the same status again, though the resource is there by now; else 409."""
    first = await api.start("put", "1", {"title": "One"}, operation_id="mine")
    again = await api.start("put", "1", {"title": "One"}, operation_id="mine")
    assert (again.status, again.body, lro_headers(again)) == (first.status, first.body, lro_headers(first))
    await api.run_all()
    late = await api.start("put", "1", {"title": "One"}, operation_id="mine")
    assert (late.status, body(late)) == (201, {"id": "1", "title": "One"})
    assert "Retry-After" not in late.headers
    refused(await api.start("put", "1", {"title": "Two"}, operation_id="mine"), 409, "OperationIdInUse")
    refused(await api.start("delete", "1", operation_id="mine"), 409, "OperationIdInUse")
    failed = await api.start("put", "2", {"title": "fail"}, operation_id="failing")
    await api.run_all()
    assert (await api.start("put", "2", {"title": "fail"}, operation_id="failing")).status == failed.status == 201


async def test_refused_put(api: Api) -> None:
    """What the precondition refuses, and a body that does not fit, create nothing."""
    refused(await api.start("put", "1", {"title": "taken"}), 409, "TitleTaken")
    refused(await api.start("put", "1", {"titel": "x"}), 400, "InvalidInput")
    refused(await api.start("put", "1", {"id": "2"}), 400, "RouteMismatch")
    refused(await api.start("put", "a b", {}), 400, "InvalidResourceId")
    assert (api.faults.writes, api.engine.started) == (0, [])


async def test_delete(api: Api) -> None:
    """202 with the monitor, even for what is gone a moment later; then it is 404, and can be made again."""
    THINGS["1"] = "One"
    response = await api.start("delete", "1", operation_id="mine")
    assert (response.status, body(response)["status"]) == (202, "NotStarted")
    assert set(lro_headers(response)) == {"Operation-Location", "Operation-Id", "Retry-After"}
    assert THINGS == {"1": "One"}
    await api.run_all()
    refused(await api.start("delete", "1"), 404, "ThingNotFound")
    assert (await api.start("delete", "1", operation_id="mine")).status == 202
    assert (await api.start("put", "1", {})).status == 201


@pytest.mark.parametrize(("raw", "headers"), [(b"{}", {}), (b"x", {}), (b"", {"transfer_encoding": "chunked"})])
async def test_delete_with_a_body(api: Api, raw: bytes, headers: dict[str, str]) -> None:
    """A body is 400, whatever is in it, and nothing is deleted."""
    THINGS["1"] = "One"
    refused(await api.start("delete", "1", raw=raw, **headers), 400, "BodyNotAllowed")
    assert api.engine.started == []


async def test_exclusive(api: Api) -> None:
    """Two writes on one resource: the second is 409, names the first and leaves nothing; on another it starts."""
    THINGS["1"] = "One"
    monitor = (await api.start("put", "1", {})).headers["Operation-Location"]
    before = api.faults.writes
    for response in (await api.start("put", "1", {"title": "Two"}), await api.start("delete", "1")):
        refused(response, 409, "OperationInProgress")
        assert monitor in body(response)["error"]["message"]
        assert int(response.headers["Retry-After"]) >= 1
    assert api.faults.writes == before
    assert (await api.start("put", "2", {})).status == 201
    await api.run_all()
    assert (await api.start("delete", "1")).status == 202


async def test_the_same_write_finds_its_operation(api: Api) -> None:
    """While it holds the resource, the same request is answered as before and starts nothing; afterwards it is new."""
    THINGS["1"] = "One"
    for name, arguments in (("put", ("1", {"title": "Two"})), ("delete", ("1",))):
        first = await api.start(name, *arguments, if_match="*")
        before = api.faults.writes
        again = await api.start(name, *arguments, if_match="*")
        assert (again.status, again.body, lro_headers(again)) == (first.status, first.body, lro_headers(first))
        assert api.faults.writes == before
        for other in ({}, {"if_match": '"1"'}, {"if_none_match": "*"}, {"operation_id": "mine"}):
            refused(await api.start(name, *arguments, **other), 409, "OperationInProgress")
        await api.run_all()
        assert api.engine.started == []
    THINGS["1"] = "One"
    later = await api.start("delete", "1", if_match="*")
    assert later.headers["Operation-Id"] != first.headers["Operation-Id"]


async def test_put_operation(api: Api) -> None:
    """201 with the monitor, which repeats the request and lies where it was put; GET shows the same."""
    response = await api.start("job", "j1", {"words": ["a", "b"]})
    assert response.status == 201
    assert lro_headers(response) == {
        "Operation-Location": "http://h:1/jobs/j1?api-version=2026-01-01", "Operation-Id": "j1", "Retry-After": "1",
    }  # fmt: skip
    shown = body(response)
    assert (shown["id"], shown["status"], shown["words"], shown["loud"]) == ("j1", "NotStarted", ["a", "b"], False)
    monitor = await api.at_operation("status", "j1")
    assert (monitor.status, body(monitor), monitor.headers["Retry-After"]) == (200, shown, "1")
    await api.run_all()
    ended = body(await api.at_operation("status", "j1"))
    assert (ended["status"], ended["result"], ended["words"]) == ("Succeeded", "a b", ["a", "b"])


async def test_replayed_put_operation(api: Api) -> None:
    """200 for the identical request, however it is written; 409 for another one, or another action's id."""
    await api.start("job", "j1", {"words": ["a"]})
    again = await api.start("job", "j1", raw=b'{ "loud" : false, "words":["a"]}')
    assert (again.status, body(again)["words"]) == (200, ["a"])
    await api.run_all()
    late = await api.start("job", "j1", {"words": ["a"]})
    assert (late.status, body(late)["result"]) == (200, "a")
    refused(await api.start("job", "j1", {"words": ["b"]}), 409, "OperationIdInUse")
    await api.start("shout", "1", operation_id="j2")
    refused(await api.start("job", "j2", {"words": ["a"]}), 409, "OperationIdInUse")


async def test_id_of_a_put_operation(api: Api) -> None:
    """The id is in the path: a header that says another is 400, one that says the same is idle."""
    refused(await api.start("job", "j1", {"words": []}, operation_id="j2"), 400, "OperationIdMismatch")
    refused(await api.start("job", "a b", {"words": []}), 400, "InvalidOperationId")
    refused(await api.start("job", "j1", {"words": [], "operationId": "j1"}), 400, "InvalidInput")
    assert api.engine.started == []
    assert (await api.start("job", "j1", {"words": []}, operation_id="j1")).status == 201


async def test_control_of_a_put_operation(api: Api) -> None:
    """Cancel and delete work on its own URL, and also by `status/{id}`; the record is one."""
    await api.start("job", "j1", {"words": ["a"]})
    refused(await api.at_operation("delete", "j1"), 409, "OperationNotFinished")
    canceled = await api.at_operation("cancel", "j1")
    assert (canceled.status, body(canceled)["status"], body(canceled)["words"]) == (200, "Canceled", ["a"])
    assert body(await api.status("j1"))["status"] == "Canceled"
    assert (await api.at_operation("delete", "j1")).status == 204
    for what in ("status", "cancel", "delete"):
        refused(await api.at_operation(what, "j1"), 404, "OperationNotFound")


async def test_operations_of_others_are_not_there(api: Api) -> None:
    """Only what was put there is found there."""
    await api.start("shout", "1", operation_id="s1")
    for what in ("status", "cancel", "delete"):
        refused(await api.at_operation(what, "s1"), 404, "OperationNotFound")
        refused(await api.at_operation(what, "a b"), 404, "OperationNotFound")
    assert body(await api.status("s1"))["status"] == "NotStarted"


async def test_large_parameters(api: Api) -> None:
    """Parameters beyond what a row holds are echoed all the same."""
    words = ["word"] * 10_000
    await api.start("job", "j1", {"words": words})
    assert body(await api.at_operation("status", "j1"))["words"] == words


async def test_alias(api: Api) -> None:
    """`{resource}/operations/{id}` is the monitor of an operation on that resource; any other is 404."""
    await api.start("put", "1", {}, operation_id="p1")
    await api.start("shout", "1", operation_id="s1")
    found = await api.alias("1", "p1")
    assert (found.status, body(found)) == (200, body(await api.status("p1")))
    for thing, id in (("2", "p1"), ("1", "s1"), ("1", "unknown"), ("a b", "p1"), ("1", "a b"), ("1", "p1:x")):
        refused(await api.alias(thing, id), 404, "OperationNotFound")


@pytest.mark.max_wait("100")
@pytest.mark.parametrize("which", ["put", "delete", "job", "shout"])
async def test_wait(api: Api, which: str) -> None:
    """With wait=N the first answer comes at the end: terminal, with the result, without Retry-After, same status."""
    THINGS["1"] = "Old"
    sent = {"put": {"title": "New"}, "job": {"words": ["a"]}}.get(which)
    waiting = asyncio.create_task(api.start(which, "1", sent, prefer="respond-async, wait=100"))
    response = await api.run_what_is_started(waiting)
    assert response.status == {"put": 200, "delete": 202, "job": 201, "shout": 202}[which]
    assert (response.headers["Preference-Applied"], "Retry-After" in response.headers) == ("wait=100", False)
    if which == "put":
        assert body(response) == {"id": "1", "title": "New"}
        return
    assert body(response)["status"] == "Succeeded"
    assert body(response).get("result") == {"delete": None, "job": "a", "shout": "1"}[which]


@pytest.mark.parametrize(("prefer", "honoured"), [("wait=1", 1), ("wait=99", 1), ("wait=0", 0), ("wait=x", 0)])
async def test_wait_in_vain(api: Api, prefer: str, honoured: int) -> None:
    """What takes longer is answered as without; the cap is what Preference-Applied says, garbage is ignored."""
    began = asyncio.get_running_loop().time()
    response = await api.start("shout", "1", prefer=prefer)
    # Neither less than it should, nor the 99 that it must not.
    assert honoured <= asyncio.get_running_loop().time() - began < 60
    assert (response.status, body(response)["status"]) == (202, "NotStarted")
    assert response.headers.get("Preference-Applied") == (f"wait={honoured}" if honoured else None)
    assert response.headers["Retry-After"] == "1"


@pytest.mark.max_wait("100")
async def test_wait_for_a_failure(api: Api) -> None:
    """A failure in time is in the monitor; a PUT still answers its resource, and the monitor says Failed."""
    waiting = asyncio.create_task(api.start("put", "1", {"title": "fail"}, prefer="wait=100"))
    response = await api.run_what_is_started(waiting)
    assert (response.status, body(response)) == (201, {"id": "1", "title": "fail"})
    monitor = body(await api.status(response.headers["Operation-Id"]))
    assert (monitor["status"], monitor["error"]["code"]) == ("Failed", "Bad")


async def test_start_costs(api: Api) -> None:
    """A plain start is one write; an exclusive one is one more, and its end none.

    Beside the first start of a process the row of what is paused is looked at, once for five seconds.
    """
    await api.start("shout", "0")
    api.faults.writes = api.faults.reads = 0
    await api.start("shout", "1")
    assert (api.faults.writes, api.faults.reads) == (1, 0)
    await api.start("put", "1", {})
    assert (api.faults.writes, api.faults.reads) == (1 + 2, 2)
