"""`POST status/{id}:retry`: what a failed or canceled operation was started to do, done again as a new operation."""

import json
import logging
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from shared.actions import ActionContext, ActionFailed, Model, RequestError, action
from shared.actions.registry import Registry
from shared.composition import Application
from shared.contracts.http import Request, Response
from shared.endpoints.boundary import answer
from shared.model.operation import Status
from shared.model.timing import Timing
from shared.operations.service import StartRequest
from tests.support.clock import ManualClock
from tests.support.parts import Input, RecordingEngine, settings, sqlite

REFUSE: list[RequestError] = []
SEEN: list[tuple[str, Input]] = []


@action("thing:work", post="thing/{id}:work", exclusive="thing/{id}")
async def work(context: ActionContext, request: Input) -> Input:
    SEEN.append((context.owner, request))
    if request.file_name == "fail":
        raise ActionFailed("Bad", "No.")
    return request


@work.precondition
async def refuse(request: Input) -> None:
    if REFUSE:
        raise REFUSE[0]


@action("thing:bare", post="things:bare")
async def bare(context: ActionContext) -> None:
    raise ActionFailed("Bad", "No.")


class JobInput(Model):
    file_name: str = ""


@action("job:run", put="jobs/{operation_id}")
async def job(context: ActionContext, request: JobInput) -> None:
    raise ActionFailed("Bad", "No.")


class Api:
    def __init__(self, application: Application) -> None:
        self.application, self.engine = application, RecordingEngine()

    async def start(self, name: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Response:
        declared = self.application.registry.actions[name]
        route = {"thing:work": {"id": "1"}, "job:run": {"operation_id": "j1"}}.get(name, {})
        request = Request(
            method=declared.method,
            url=f"http://h:1/{declared.route.format(**route)}",
            headers={"content-type": "application/json", **(headers or {})},
            route=route,
            body=json.dumps(body or {}).encode(),
        )
        return await answer(request, lambda r: self.application.data_plane.start(r, declared, self.engine))

    async def retry(self, id: str, **headers: str) -> Response:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        url = f"http://h:1/status/{id}:retry"
        request = Request(method="POST", url=url, headers=given, route={"operation_id": id})
        return await answer(request, lambda r: self.application.data_plane.retry(r, self.engine))

    async def cancel(self, id: str) -> None:
        await self.application.service.cancel("", id)

    async def drain(self) -> None:
        while self.engine.started:
            _, started = self.engine.started.pop(0)
            await self.application.runner.run(started)

    async def shown(self, id: str) -> dict[str, Any]:
        request = Request(method="GET", url=f"http://h:1/status/{id}", route={"operation_id": id})
        return body(await answer(request, lambda r: self.application.data_plane.status(r, self.engine)))


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    REFUSE.clear()
    SEEN.clear()
    async with sqlite(tmp_path) as storage:
        registry = Registry([work, bare, job])
        yield Api(
            Application(
                registry,
                settings=settings(tmp_path),
                storage=storage,
                clock=ManualClock(),
                timing=Timing(young_wait=0),
            )
        )


def body(response: Response) -> Any:
    return json.loads(response.body)


def code(response: Response) -> tuple[int, str]:
    return response.status, response.headers.get("x-ms-error-code", "")


async def failed(api: Api, name: str = "thing:work", **headers: str) -> str:
    given = {each.replace("_", "-"): value for each, value in headers.items()}
    started = await api.start(name, {"fileName": "fail"} if name != "thing:bare" else None, given)
    assert started.status in (201, 202), started.body
    await api.drain()
    return body(started)["id"]


async def test_the_same_again(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    """A new operation has the input, the labels and the owner of the old one, and names it; the old one stays."""
    caplog.set_level(logging.INFO)
    old = await failed(api, operation_labels="team-a")
    started = await api.retry(old)
    new = body(started)
    assert (started.status, new["retryOf"], new["labels"], new["status"]) == (202, old, ["team-a"], "NotStarted")
    assert new["id"] != old
    assert started.headers["Operation-Location"] == f"http://h:1/status/{new['id']}?api-version=2026-01-01"
    await api.drain()
    assert [("", Input(id="1", file_name="fail"))] * 2 == SEEN
    assert (await api.shown(new["id"]))["error"]["code"] == "Bad"
    assert "retryOf" not in await api.shown(old)
    line = f"operation_id={new['id']} action=thing:work attempt=0: It does operation {old} again (a caller with a key)"
    assert line in caplog.messages


async def test_a_canceled_one(api: Api) -> None:
    """What was canceled can be run again, one that has no input, too."""
    canceled = body(await api.start("thing:work", {"fileName": "a"}))["id"]
    await api.cancel(canceled)
    again = body(await api.retry(canceled))["id"]
    await api.drain()
    assert (await api.shown(again))["status"] == "Succeeded"
    assert (await api.retry(await failed(api, "thing:bare"))).status == 202


async def test_checks_are_those_of_a_start(api: Api) -> None:
    """A precondition refuses, the resource has to be free, and nothing is created."""
    old = await failed(api)
    REFUSE.append(RequestError(409, "Busy", "Not now."))
    assert code(await api.retry(old)) == (409, "Busy")
    REFUSE.clear()
    holder = body(await api.start("thing:work", {"fileName": "a"}))["id"]
    refused = await api.retry(old)
    assert code(refused) == (409, "OperationInProgress")
    assert holder in body(refused)["error"]["message"]
    await api.drain()
    assert (await api.retry(old)).status == 202


async def test_an_id_makes_it_repeatable(api: Api) -> None:
    """The same retry with the same id is one operation; of another operation, or as a start, it is another request."""
    old, other = await failed(api), await failed(api)
    first = body(await api.retry(old, operation_id="again"))
    await api.drain()
    assert body(await api.retry(old, operation_id="again"))["createdDateTime"] == first["createdDateTime"]
    assert len(SEEN) == 3
    for answered in (
        await api.retry(other, operation_id="again"),
        await api.start("thing:work", {"fileName": "fail"}, {"operation-id": "again"}),
    ):
        assert code(answered) == (409, "OperationIdInUse")
    assert code(await api.retry(old, operation_id="a b")) == (400, "InvalidOperationId")


@pytest.mark.parametrize("status", ["NotStarted", "Succeeded"])
async def test_only_what_has_failed(api: Api, status: str) -> None:
    """What is not over, or went well, is not run again."""
    id = body(await api.start("thing:work", {"fileName": "a"}))["id"]
    if status == "Succeeded":
        await api.drain()
    refused = await api.retry(id)
    assert code(refused) == (409, "OperationNotFailed")
    assert status in body(refused)["error"]["message"]


async def test_only_posts(api: Api) -> None:
    """What was put, what another system does, and what no action of this app started, is 409 RetryNotSupported."""
    assert code(await api.retry(await failed(api, "job:run"))) == (409, "RetryNotSupported")
    created = await api.application.external.create(kind="press:set-up", owner="")
    assert code(await api.retry(created.operation.id)) == (409, "RetryNotSupported")
    assert code(await api.retry("unknown")) == (404, "OperationNotFound")
    assert code(await api.retry("a:b")) == (404, "OperationNotFound")


async def test_an_input_that_fits_no_more(api: Api) -> None:
    """It is 409 and says which members are wrong, never their values."""
    request = StartRequest(
        action=work,
        context=None,  # pyright: ignore[reportArgumentType] - preconditions take none here
        input=Input(),
        input_json=b'{"fileName": 5}',
        owner="",
        method="POST",
        path="thing/1:work",
        api_version="2026-01-01",
        fingerprint="f" * 64,
    )
    stored = await api.application.service.start(request, api.engine)
    await api.cancel(stored.id)
    refused = await api.retry(stored.id)
    assert code(refused) == (409, "RetryNotSupported")
    assert "fileName" in body(refused)["error"]["message"]
    assert (await api.application.service.get("", stored.id)).status is Status.CANCELED
