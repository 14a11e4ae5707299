"""The routes of the description and its page, in process."""

import asyncio
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ConfigDict, Field

from shared.actions import ActionContext, Model, action
from shared.actions.declaration import Action
from shared.actions.registry import Registry
from shared.composition import Application
from shared.contracts.http import Request, Response
from shared.contracts.openapi import docs_page
from shared.contracts.openapi.document import describe
from shared.contracts.pages import CONTENT_TYPES
from shared.endpoints.boundary import answer
from shared.endpoints.description import Description
from shared.endpoints.docs_files import docs_files
from tests.sample.described import sample
from tests.support.parts import Input, settings

URL = "http://h:1"
SIGNED_IN = {"TRUST_PLATFORM_AUTH": "true", "WEBSITE_AUTH_ENABLED": "true"}


@pytest.fixture
def endpoints(tmp_path: Path) -> Description:
    return made(tmp_path)


def made(folder: Path, **environment: str) -> Description:
    return Application(sample(), settings=settings(folder, **environment)).description


async def get(serve: Any, path: str = "/openapi.json", *, url: str = URL, **more: Any) -> Response:
    return await answer(Request(method="GET", url=url + path, **more), serve)


async def test_the_description(endpoints: Description) -> None:
    """It is JSON of the version that was asked for, 3.1 without one, and says where it was found."""
    newest = await get(endpoints.openapi)
    older = await get(endpoints.openapi, query={"version": "3.0"})
    assert (newest.status, newest.content_type) == (200, "application/json")
    assert json.loads(newest.body)["openapi"] == "3.1.1"
    assert json.loads(older.body)["openapi"] == "3.0.3"
    assert json.loads(newest.body)["servers"] == [{"url": URL}]
    assert (await get(endpoints.openapi, query={"version": "3.1", "code": "k"})).body == newest.body


async def test_its_etag(endpoints: Description) -> None:
    """The ETag stays while the description does, names each version and address, and gives 304."""
    first, again = await get(endpoints.openapi), await get(endpoints.openapi)
    assert first.headers["ETag"] == again.headers["ETag"]
    assert first.headers["Cache-Control"] == "no-cache"
    known = await get(endpoints.openapi, headers={"if-none-match": first.headers["ETag"]})
    assert (known.status, known.body, known.headers["ETag"]) == (304, b"", first.headers["ETag"])
    older = await get(endpoints.openapi, query={"version": "3.0"})
    elsewhere = await get(endpoints.openapi, url="http://other")
    assert len({first.headers["ETag"], older.headers["ETag"], elsewhere.headers["ETag"]}) == 3


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"version": "2.0"}, "UnsupportedOpenApiVersion"),
        ({"version": ""}, "UnsupportedOpenApiVersion"),
        ({"versions": "3.0"}, "UnknownQueryParameter"),
    ],
)
async def test_odd_queries(endpoints: Description, query: dict[str, str], code: str) -> None:
    """A version that is not offered, or another parameter, is 400 and says what there is."""
    refused = await get(endpoints.openapi, query=query)
    assert (refused.status, refused.headers["x-ms-error-code"]) == (400, code)


async def test_it_is_generated_once(endpoints: Description, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks, at once or later and at whatever address, each version is generated once."""
    times: list[str] = []

    def counted(registry: Any, settings: Any, *, version: str, examples: Any) -> Any:
        times.append(version)
        return describe(registry, settings, version=version, examples=examples)

    monkeypatch.setattr("shared.contracts.openapi.document.describe", counted)
    versions = ("3.1", "3.0")
    asked = [(f"http://h{number}", versions[number % 2]) for number in range(12)]
    answers = await asyncio.gather(*(get(endpoints.openapi, url=u, query={"version": v}) for u, v in asked))
    for (url, version), found in zip(asked, answers, strict=True):
        document = json.loads(found.body)
        assert (document["servers"], document["openapi"][:3]) == ([{"url": url}], version)
    assert sorted(times) == ["3.0", "3.1"]


async def test_numbers_that_are_no_json(tmp_path: Path) -> None:
    """Defaults and limits that JSON cannot write are left out: what is served is JSON, in both versions."""

    class Odd(Model):
        id: str
        most: float = float("inf")
        least: float = Field(0, gt=float("-inf"))
        never: float = float("nan")
        half: str = "\ud800"

    @action("odd:take", post="odd/{id}:take")
    async def take(context: ActionContext, request: Odd) -> Odd:
        return request

    endpoints = Application(Registry([take]), settings=settings(tmp_path)).description
    for version in ("3.1", "3.0"):
        answer = await get(endpoints.openapi, query={"version": version})
        document = json.loads(answer.body, parse_constant=pytest.fail)
        odd = document["components"]["schemas"]["Odd"]["properties"]
        assert odd["most"] == {"type": "number"}
        assert odd["least"] == {"type": "number", "default": 0}
        assert odd["never"] == {"type": "number"}
        assert odd["half"] == {"type": "string"}


class Undescribed(Model):
    id: str
    work: Callable[[], int] | None = None


class Thing:
    pass


class Arbitrary(Model):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    thing: Thing | None = None


@action("odd:given", post="odd/{id}:given")
async def given(context: ActionContext, request: Undescribed) -> None: ...


@action("odd:returned", post="odd/{id}:returned")
async def returned(context: ActionContext, request: Input) -> Arbitrary:
    return Arbitrary()


@pytest.mark.parametrize(("declared", "side"), [(given, "takes"), (returned, "answers")])
async def test_a_model_without_a_description(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, declared: Action, side: str
) -> None:
    """The log names the action, which side of it, and the member's kind; the caller is told nothing of that."""
    endpoints = Application(Registry([declared]), settings=settings(tmp_path)).description
    assert (await get(endpoints.openapi)).status == 500
    [record] = caplog.records
    assert f"what {declared.name} {side} cannot be described" in record.getMessage()
    assert record.exc_info is None


BROKEN = [
    '{"a": }',
    "[]",
    '{"fn": []}',
    '{"fn": {"responses": []}}',
    '{"fn": {"responses": {"200": 1}}}',
    '{"fn": {"request": "\\ud800"}}',
    '{"fn": {"request": NaN}}',
]


@pytest.mark.parametrize("content", BROKEN)
async def test_broken_examples(tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str) -> None:
    """The log names the file."""
    file = tmp_path / "examples.json"
    file.write_text(content)
    endpoints = Application(Registry(example_files=[file]), settings=settings(tmp_path)).description
    assert (await get(endpoints.openapi)).status == 500
    [record] = caplog.records
    assert str(file) in record.getMessage()
    assert record.exc_info is None


async def test_callers_are_known_where_all_are(tmp_path: Path) -> None:
    """Where callers sign in, the description is for those who have; the page itself is for anybody."""
    endpoints = made(tmp_path, **SIGNED_IN)
    assert (await get(endpoints.openapi)).status == 401
    assert (await get(endpoints.openapi, headers={"x-ms-client-principal-id": "me"})).status == 200
    assert (await get(endpoints.page, "/docs")).status == 200


async def test_the_page(endpoints: Description) -> None:
    """It loads files of its own only, may run no script but those, and has nothing of a key in it."""
    page = await get(endpoints.page, "/docs")
    text = page.body.decode()
    assert (page.status, page.content_type) == (200, "text/html")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "connect-src 'self';" in policy
    assert "unsafe" not in policy
    assert "http://" not in text
    assert "https://" not in text
    assert text.count("<script") == text.count("<script src=") == 2
    for file in ("docs/swagger-ui-bundle.js", "docs/swagger-ui.css", "docs/page.js", "docs/page.css"):
        assert f'"{file}"' in text
        assert (await get(endpoints.file, f"/{file}", route={"file": file[5:]})).status == 200
    # The host takes a slash at the end, too: links are relative to where the page is.
    slashed = (await get(endpoints.page, "/docs/")).body.decode()
    assert '"page.js"' in slashed
    assert 'data-description="../openapi.json"' in slashed


async def test_where_requests_may_go(tmp_path: Path) -> None:
    """The app's public address counts as its own."""
    page = await get(made(tmp_path, PUBLIC_BASE_URL="https://api.example/library").page, "/docs")
    assert "connect-src 'self' https://api.example;" in page.headers["Content-Security-Policy"]


@pytest.mark.parametrize("name", docs_page.UI_FILES + docs_page.OWN_FILES)
async def test_files(endpoints: Description, name: str) -> None:
    """Each comes with its type and an ETag, compressed where that is taken, and 304 where it is known."""
    plain = await get(endpoints.file, f"/docs/{name}", route={"file": name})
    assert (plain.status, plain.content_type) == (200, CONTENT_TYPES[Path(name).suffix])
    assert plain.headers["X-Content-Type-Options"] == "nosniff"
    small = await get(endpoints.file, route={"file": name}, headers={"accept-encoding": "br, gzip;q=0.5"})
    if name.endswith(".png"):
        assert "Content-Encoding" not in small.headers
    else:
        assert small.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(small.body) == plain.body
        refused = await get(endpoints.file, route={"file": name}, headers={"accept-encoding": "gzip;q=0"})
        assert "Content-Encoding" not in refused.headers
    known = await get(endpoints.file, route={"file": name}, headers={"if-none-match": plain.headers["ETag"]})
    assert (known.status, known.body) == (304, b"")


@pytest.mark.parametrize("name", ["swagger-ui.js", "..%2Fpage.js", "../docs_files.py", "VERSION", "", "PAGE.JS"])
async def test_no_other_files(endpoints: Description, name: str) -> None:
    """Only the page's own files are given out, whatever else lies beside them."""
    assert (await get(endpoints.file, route={"file": name})).status == 404


async def test_without_the_files(tmp_path: Path) -> None:
    """An app without the files of the UI says how to get them, also where one is missing; the description is there."""
    (tmp_path / "swagger-ui.css").touch()
    endpoints = Description(sample(), settings(tmp_path), docs_files(tmp_path))
    page = await get(endpoints.page, "/docs")
    assert (page.status, page.headers["x-ms-error-code"]) == (404, "PageNotInstalled")
    message = json.loads(page.body)["error"]["message"]
    assert "`make docs-page`, or `python -m local_host.docs_page`" in message
    assert (await get(endpoints.file, route={"file": "swagger-ui-bundle.js"})).status == 404
    assert (await get(endpoints.openapi)).status == 200
