"""`POST status/{operation_id}:update` from request to answer, and what the log has of a whole session."""

import json
import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.actions import ActionContext, RequestContext, action, call
from shared.actions.registry import Registry
from shared.composition import Application
from shared.contracts.delegation import SECRET_HEADER, update_url
from shared.contracts.http import Request, Response
from shared.endpoints.boundary import answer
from shared.model.ids import Locator
from shared.model.updates import CreatedOperation, Succeeded
from shared.operations import external_secret
from shared.operations.after_end import context_of
from tests.support.parts import Input, RecordingEngine, make_operation, settings, sqlite

RUNNING = {"status": "Running"}
FAILED = {"status": "Failed", "error": {"code": "PaperJam", "message": "The paper is stuck."}}


@action("thing:work", post="thing/{id}:work")
async def work(context: ActionContext, request: Input) -> None: ...


@call("things:echo", post="things/{id}:echo")
async def echo(context: RequestContext, request: Input) -> Input | None:
    return request if request.file_name != "none" else None


class Api:
    def __init__(self, application: Application) -> None:
        self.application = application

    async def create(self, **changes: Any) -> CreatedOperation:
        return await self.application.external.create(**{"kind": "press:set-up", "owner": "", **changes})

    async def update(
        self,
        created: CreatedOperation,
        body: Any = None,
        *,
        secret: str | None = None,
        id: str = "",
        raw: bytes | None = None,
        query: dict[str, str] | None = None,
        **headers: str,
    ) -> Response:
        id = id or created.operation.id
        request = Request(
            method="POST",
            url=f"http://h:1/status/{id}:update",
            headers={
                "content-type": "application/json",
                SECRET_HEADER: created.secret if secret is None else secret,
                **headers,
            },
            route={"operation_id": id},
            query=query or {},
            body=json.dumps(body).encode() if raw is None else raw,
        )
        return await answer(request, self.application.updates.update)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with sqlite(tmp_path) as storage:
        yield Api(Application(Registry([work]), settings=settings(tmp_path), storage=storage))


def body(response: Response) -> dict[str, Any]:
    return json.loads(response.body)


def refused(response: Response, status: int, code: str) -> None:
    assert (response.status, body(response)["error"]["code"]) == (status, code), response.body
    assert response.headers["x-ms-error-code"] == code


async def test_updates_where_callers_are_not_checked(tmp_path: Path) -> None:
    """TRUST_PLATFORM_AUTH without the platform's own word stops callers; who has the secret of an operation is none."""
    async with sqlite(tmp_path) as storage:
        unchecked = settings(tmp_path, TRUST_PLATFORM_AUTH="true")
        api = Api(Application(Registry([work]), settings=unchecked, storage=storage))
        created = await api.create(owner="somebody")
        assert (await api.update(created, RUNNING)).status == 200
        assert body(await api.update(created, {"status": "Succeeded"}))["status"] == "Succeeded"


async def test_updates_are_answered_with_the_monitor(api: Api) -> None:
    """200 with the monitor each time, Retry-After while it runs; the result is not sent back to who sent it."""
    created = await api.create(retry_after=7)
    progress = {"done": 1, "total": 4, "message": "Inking", "data": {"plate": 3}}
    running = await api.update(created, {**RUNNING, "percentComplete": 20, "progress": progress})
    assert (running.status, running.headers["Retry-After"]) == (200, "7")
    assert (body(running)["status"], body(running)["percentComplete"]) == ("Running", 20)
    assert body(running)["progress"] == progress
    done = await api.update(created, {"status": "Succeeded", "result": {"pages": 12}})
    assert (done.status, body(done)["status"], body(done)["percentComplete"]) == (200, "Succeeded", 100)
    assert "Retry-After" not in done.headers
    assert "result" not in body(done)
    operation, content = await api.application.service.result("", created.operation.id)
    assert (operation.status, content) == ("Succeeded", b'{"pages":12}')


@pytest.mark.parametrize("said", [{"status": "Succeeded"}, FAILED, {"status": "Canceled"}], ids=lambda s: s["status"])
async def test_each_end(api: Api, said: dict[str, Any]) -> None:
    """Each end is taken at once; the right secret then gets 409 OperationFinished, for an end and for Running."""
    created = await api.create()
    ended = await api.update(created, said)
    assert (ended.status, body(ended)["status"]) == (200, said["status"])
    if "error" in said:
        assert body(ended)["error"] == said["error"]
    for again in (said, RUNNING):
        refused(await api.update(created, again), 409, "OperationFinished")


async def test_a_cancel_is_seen_in_the_answer(api: Api) -> None:
    """After a cancel, `Running` is 409 OperationCanceling; `Canceled` confirms it."""
    created = await api.create()
    await api.update(created, RUNNING)
    await api.application.service.cancel("", created.operation.id)
    refused(await api.update(created, RUNNING), 409, "OperationCanceling")
    confirmed = await api.update(created, {"status": "Canceled"})
    assert (confirmed.status, body(confirmed)["status"]) == (200, "Canceled")


async def test_wrong_secrets_change_nothing(api: Api) -> None:
    """No secret, a wrong one, another operation's, another owner's: 404 with the body of an unknown operation."""
    created, other = await api.create(operation_id="op-1"), await api.create(operation_id="op-2")
    unknown = await api.update(created, RUNNING, id="op-3")
    refused(unknown, 404, "OperationNotFound")
    stored = await api.application.records.read(created.operation.locator)
    wrong = external_secret.make(created.operation.locator, bytes(32))
    bob = external_secret.make(Locator.of("aad:bob", "op-1"), bytes(32))
    for secret in ("", "x", wrong, other.secret, bob, created.secret[:-1], created.secret + "A"):
        for said in (RUNNING, {"status": "Succeeded"}, {"status": "Nonsense"}):
            answered = await api.update(created, said, secret=secret)
            assert answered.status == 404
            assert answered.body == unknown.body.replace(b"op-3", b"op-1")
            assert set(answered.headers) == set(unknown.headers)
    assert await api.application.records.read(created.operation.locator) == stored
    await api.application.external.update("", "op-1", Succeeded())
    assert (await api.update(created, RUNNING, secret=wrong)).body == unknown.body.replace(b"op-3", b"op-1")


async def test_what_a_handler_runs_is_not_updated(api: Api) -> None:
    """An operation with a handler is 404 here, whatever is sent as its secret."""
    request = Request(
        method="POST",
        url="http://h:1/thing/1:work",
        headers={"content-type": "application/json"},
        route={"id": "1"},
        body=b"{}",
    )
    engine = RecordingEngine()
    started = await answer(request, lambda r: api.application.data_plane.start(r, work, engine))
    created = await api.create()
    id = body(started)["id"]
    secret = external_secret.make(Locator.of("", id), bytes(32))
    for each in (secret, created.secret, ""):
        refused(await api.update(created, RUNNING, id=id, secret=each), 404, "OperationNotFound")


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"status": "NotStarted"},
        {"status": "Canceling"},
        {"status": "running"},
        {"status": None},
        {**RUNNING, "percentComplete": 101},
        {**RUNNING, "percentComplete": -1},
        {**RUNNING, "percent_complete": 5},
        {**RUNNING, "progress": {"done": -1}},
        {**RUNNING, "progress": {"done": 3, "total": 2}},
        {**RUNNING, "progress": {"message": "m" * 501}},
        {**RUNNING, "progress": {"data": "d" * 5000}},
        {**RUNNING, "progress": {"mood": "good"}},
        {**RUNNING, "progress": 5},
        {**RUNNING, "result": 1},
        {**RUNNING, "error": FAILED["error"]},
        {"status": "Succeeded", "error": FAILED["error"]},
        {"status": "Succeeded", "percentComplete": 100},
        {"status": "Failed"},
        {"status": "Failed", "error": {"code": "", "message": "m"}},
        {"status": "Failed", "error": {"code": "C"}},
        {"status": "Failed", "error": {"code": "C", "message": "m" * 1001}},
        {"status": "Failed", "error": {"code": "C", "message": "m", "details": [{"code": "D"}]}},
        {"status": "Canceled", "result": 1},
        {**RUNNING, "secret": "s"},
        {**RUNNING, "unknown": 1},
    ],
    ids=str,
)
async def test_bad_bodies(api: Api, said: dict[str, Any]) -> None:
    """What does not fit is 400 InvalidInput, and the operation is as it was."""
    created = await api.create()
    refused(await api.update(created, said), 400, "InvalidInput")
    assert await api.application.records.read(created.operation.locator) == created.operation


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({**RUNNING, "result": 1}, "result is for status Succeeded only"),
        ({"status": "Canceled", "percentComplete": 5}, "percentComplete and progress are for status Running only"),
        ({"status": "Canceled", "error": FAILED["error"]}, "error is for status Failed only"),
        ({"status": "Failed"}, "status Failed needs an error"),
    ],
    ids=str,
)
async def test_members_that_do_not_go_together(api: Api, said: dict[str, Any], told: str) -> None:
    """The message is ours from end to end: nothing of the library that checks it shows through."""
    error = body(await api.update(await api.create(), said))["error"]
    assert error["message"] == f"The request does not fit: {told}."
    assert [detail["message"] for detail in error["details"]] == [told]


async def test_bad_requests(api: Api, tmp_path: Path) -> None:
    """Body, media type, size and api-version are checked as everywhere."""
    created = await api.create()
    refused(await api.update(created, raw=b"{"), 400, "InvalidJson")
    refused(await api.update(created, raw=b"[]"), 400, "InvalidJson")
    refused(await api.update(created, raw=b'{"status":"Running","status":"Failed"}'), 400, "InvalidJson")
    refused(await api.update(created, RUNNING, **{"content-type": "text/plain"}), 415, "UnsupportedMediaType")
    refused(await api.update(created, raw=b" " * 2_000_000), 413, "RequestBodyTooLarge")
    refused(await api.update(created, RUNNING, query={"api-version": "1999-01-01"}), 400, "UnsupportedApiVersionValue")
    refused(await api.update(created, RUNNING, id="a:b"), 404, "OperationNotFound")
    assert (await api.update(created, RUNNING, query={"api-version": "2026-01-01"})).status == 200


def test_update_url() -> None:
    """The update URL is absolute, names the operation, and has no secret in it."""
    assert update_url("https://h", "op-1", "2026-01-01") == "https://h/status/op-1:update?api-version=2026-01-01"


async def test_no_secret_in_any_log(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    """Over a whole session, errors included, no log record has a secret: not in its text nor in its extra fields."""
    caplog.set_level(logging.DEBUG)
    made = [await api.create() for _ in range(4)]
    wrong = external_secret.make(made[0].operation.locator, bytes(32))
    said: list[dict[str, Any]] = [RUNNING, {"status": "Nope"}, FAILED, RUNNING, {"status": "Succeeded", "result": 1}]
    for created in made:
        for each in said:
            await api.update(created, each)
            await api.update(created, each, secret=wrong)
    await api.application.housekeeping.run(RecordingEngine())

    async def broken(request: Request) -> Response:
        raise RuntimeError("something else")

    leaky = Request(method="POST", url="http://h/", headers={SECRET_HEADER: made[0].secret})
    await answer(leaky, broken)
    assert len(caplog.records) > len(made)
    everything = "\n".join(f"{vars(record)} {record.getMessage()}" for record in caplog.records) + caplog.text
    assert "external_updated" in everything
    for secret in (*(created.secret for created in made), wrong):
        assert secret not in everything
        assert secret[15:] not in everything


async def test_the_hash_is_all_that_is_stored(api: Api, tmp_path: Path) -> None:
    """No file of the store has the secret in it, before or after the end."""
    created = await api.create()
    await api.update(created, RUNNING)
    assert not holds(tmp_path, created.secret.encode())
    assert holds(tmp_path, created.operation.secret_hash.encode())


def holds(folder: Path, text: bytes) -> bool:
    return any(text in path.read_bytes() for path in folder.rglob("*") if path.is_file())


async def test_deadline_is_the_apps_clock(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deadline that has passed is 409 here too, without housekeeping."""
    created = await api.create(deadline=timedelta(microseconds=1))
    refused(await api.update(created, {"status": "Succeeded"}), 409, "OperationFinished")


async def test_operations_in_a_context(tmp_path: Path) -> None:
    """`context.external` of any code of the app is the application's own: an end wakes who waits for it there."""
    async with sqlite(tmp_path) as storage:
        application = Application(Registry(), settings=settings(tmp_path), storage=storage)
        assert application.services.external is application.external
        context = context_of(make_operation(), application.services)
        created = await context.external.create(kind="k", owner="")
        assert (await context.external.update("", created.operation.id, Succeeded())).status == "Succeeded"


async def test_calls(tmp_path: Path) -> None:
    """A declared call answers 200 uncached, 204 for None, and refuses as a start does."""
    async with sqlite(tmp_path) as storage:
        application = Application(Registry(calls=[echo]), settings=settings(tmp_path), storage=storage)
        assert "things/{id}:echo" in [endpoint.route for endpoint in application.endpoints]

        async def post(said: Any, id: str = "1") -> Response:
            request = Request(
                method="POST",
                url=f"http://h:1/things/{id}:echo",
                headers={"content-type": "application/json"},
                route={"id": id},
                body=json.dumps(said).encode(),
            )
            return await answer(request, lambda r: application.calls.run(r, echo))

        told = await post({"fileName": "b"})
        assert (told.status, body(told)) == (200, {"id": "1", "fileName": "b"})
        assert told.headers["Cache-Control"] == "no-store"
        nothing = await post({"fileName": "none"})
        assert (nothing.status, nothing.body) == (204, b"")
        refused(await post({"unknown": 1}), 400, "InvalidInput")
        refused(await post({"id": "2"}), 400, "RouteMismatch")
        refused(await post({}, "a:b"), 400, "InvalidResourceId")
