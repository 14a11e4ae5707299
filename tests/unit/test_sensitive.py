"""What is sensitive reaches the handler, and nobody else: no monitor, list, log, trace or answer has it."""

import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field, RootModel, SecretBytes, SecretStr

from shared.actions import SENSITIVE, ActionContext, ActionFailed, Model, action
from shared.actions import sensitive as rules
from shared.actions.registry import Registry
from shared.composition import Application
from shared.contracts import bodies
from shared.contracts.http import Request, Response
from shared.endpoints.boundary import answer
from shared.model.timing import Timing
from shared.testing import FakeApp
from tests.support.clock import ManualClock
from tests.support.parts import RecordingEngine, settings, sqlite
from tests.support.telemetry import recording

SECRETS = ("pass-w0rd", "acc0unt", "deep-t0ken", "t0ken-in-a-map")


class Inner(Model):
    token: SecretStr


class Secrets(Model):
    name: str = "plain"
    pass_word: SecretStr
    account: Annotated[str, SENSITIVE]
    inner: list[Inner] = Field(default_factory=list[Inner])
    tokens: dict[str, SecretStr] = Field(default_factory=dict[str, SecretStr])


GIVEN = {
    "passWord": SECRETS[0],
    "account": SECRETS[1],
    "inner": [{"token": SECRETS[2]}],
    "tokens": {"a": SECRETS[3]},
}
SEEN: list[Secrets] = []


async def handle(context: ActionContext, request: Secrets) -> Secrets:
    SEEN.append(request)
    context.logger.info("%r %s", request, request)
    if request.name == "fail":
        raise ActionFailed("Bad", f"It did not take {request!r}.")
    if request.name == "crash":
        raise RuntimeError(f"nobody takes {request}")
    return request


post = action("secret:use", post="secrets:use")(handle)
job = action("secret:job", put="secret-jobs/{operation_id}")(handle)


async def served(
    application: Application, method: str, path: str, serve: Callable[[Request], Awaitable[Response]], **route: str
) -> Response:
    content = json.dumps({**GIVEN, "name": route.pop("name", "plain")}).encode()
    headers = {"content-type": "application/json"}
    request = Request(
        method=method,
        url=f"http://h:1/{path}",
        route=route,
        headers=headers if method in ("POST", "PUT") else {},
        body=content if ":" not in path.rpartition("/")[2][1:] or path == "secrets:use" else b"",
    )
    return await answer(request, serve)


@pytest.mark.parametrize("name", ["plain", "fail", "crash"])
@pytest.mark.parametrize("declared", [post, job], ids=["POST", "PUT of an operation"])
async def test_nobody_sees_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, declared: Any, name: str
) -> None:
    """Start, monitors, result, list, retry, log, trace: none of them has a secret; the handler has each, every time."""
    caplog.set_level(logging.DEBUG)
    SEEN.clear()
    with recording(monkeypatch) as recorded:
        async with sqlite(tmp_path) as storage:
            application = Application(
                Registry([post, job]),
                settings=settings(tmp_path),
                storage=storage,
                clock=ManualClock(),
                timing=Timing(young_wait=0),
            )
            plane, engine = application.data_plane, RecordingEngine()
            route = {} if declared is post else {"operation_id": "j1"}
            path = "secrets:use" if declared is post else "secret-jobs/j1"
            start = lambda r: plane.start(r, declared, engine)  # noqa: E731
            answers = [await served(application, declared.method, path, start, name=name, **route)]
            assert answers[0].status in (201, 202), answers[0].body
            id = json.loads(answers[0].body)["id"]
            await application.runner.run(engine.started[0][1])
            answers.append(
                await served(application, "GET", f"status/{id}", lambda r: plane.status(r, engine), operation_id=id)
            )
            answers.append(
                await served(
                    application, "GET", f"status/{id}/result", lambda r: plane.result(r, engine), operation_id=id
                )
            )
            answers.append(await served(application, "GET", "status", plane.list))
            if declared is job:
                get = lambda r: plane.operation_status(r, job, engine)  # noqa: E731
                answers.append(await served(application, "GET", path, get, operation_id=id))
                assert json.loads(answers[-1].body)["passWord"] == rules.HIDDEN
            elif name != "plain":
                again = await served(
                    application, "POST", f"status/{id}:retry", lambda r: plane.retry(r, engine), operation_id=id
                )
                assert again.status == 202
                answers.append(again)
                await application.runner.run(engine.started[1][1])
    assert [seen.pass_word.get_secret_value() for seen in SEEN] == [SECRETS[0]] * len(SEEN)
    assert (SEEN[-1].account, SEEN[-1].inner[0].token.get_secret_value()) == SECRETS[1:3]
    spans = "".join(span.to_json() for span in recorded.spans())
    assert "secret:use" in spans or "secret:job" in spans
    shown = "".join(each.body.decode() + str(dict(each.headers)) for each in answers)
    assert [secret for secret in SECRETS if secret in shown + caplog.text + spans] == []


async def test_a_test_of_a_handler_gets_it() -> None:
    """`shared.testing` hands the input over as the app does, with the values."""
    SEEN.clear()
    async with FakeApp() as app:
        await app.run(post, Secrets.model_validate(GIVEN))
    assert SEEN[0].pass_word.get_secret_value() == SECRETS[0]


@dataclass
class Plain:
    key: SecretBytes


class Names(RootModel[list[SecretStr]]):
    """A model that is a list."""


class Odd(Model):
    plain: Plain
    names: Names
    choice: SecretStr | int = 1
    pair: tuple[int, SecretStr] = (1, SecretStr("a"))
    maybe: Annotated[dict[str, int] | None, SENSITIVE] = None


def test_shapes() -> None:
    """Wherever it stands in a model, it is stored as it came, and reads as it was."""
    given = {"plain": {"key": "k3y"}, "names": ["n1"], "choice": "c1", "pair": [2, "p1"], "maybe": {"x": 7}}
    model = Odd.model_validate(given)
    assert json.loads(bodies.canonical_json(model)) == given
    assert Odd.model_validate_json(bodies.canonical_json(model)) == model
    shown = model.model_dump_json(by_alias=True)
    assert [text for text in ("k3y", "n1", "c1", "p1", "7") if text in shown + repr(model)] == []
    assert json.loads(bodies.canonical_json(Odd.model_validate({**given, "maybe": None})))["maybe"] is None


def test_models_without_secrets_are_left_alone() -> None:
    """What has none costs nothing more and is stored as it always was."""

    class Usual(Model):
        name: str = "a"

    assert rules.has_secrets(Secrets)
    assert not rules.has_secrets(Usual)
    assert bodies.canonical_json(Usual()) == b'{"name":"a"}'


def test_the_description_says_so() -> None:
    """Both kinds are write-only for readers of the description."""
    properties = Secrets.model_json_schema(by_alias=True)["properties"]
    assert properties["passWord"]["writeOnly"] is properties["account"]["writeOnly"] is True
