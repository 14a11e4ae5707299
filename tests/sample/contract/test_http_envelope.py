"""What every answer has, whatever was asked: request ids, error bodies, CORS, versions, methods, public addresses.

Rules: Azure REST API Guidelines, "Request & Response headers", "Handling errors", "API Versioning".
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from tests.sample import SAMPLE_APP
from tests.support.host import LocalHost
from tests.support.host_for_tests import exchange, raw_request
from tests.support.lro import ask, begin, caller, listing, run
from tests.support.served import AUTHENTICATED

EVERY_KIND = [
    ("GET", "/health", 200),
    ("GET", "/status", 200),
    ("GET", "/book", 200),
    ("POST", "/trial/t1:nothing", 202),
    ("GET", "/status/unknown", 404),
    ("GET", "/book/unknown", 404),
    ("GET", "/nowhere", 404),
    ("POST", "/book/b1:burn", 404),
    ("PUT", "/status", 405),
    ("GET", "/status?top=x", 400),
    ("POST", "/trial/busy:refused", 409),
]


@pytest.mark.parametrize(("method", "path", "status"), EVERY_KIND)
def test_request_ids(client: httpx.Client, method: str, path: str, status: int) -> None:
    """Every answer has a fresh GUID as x-ms-request-id and echoes x-ms-client-request-id."""
    answers = [client.request(method, path, headers={"x-ms-client-request-id": "my id 1"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [status, status]
    assert len({UUID(answer.headers["x-ms-request-id"]) for answer in answers}) == 2
    assert {answer.headers["x-ms-client-request-id"] for answer in answers} == {"my id 1"}
    assert "x-ms-client-request-id" not in client.request(method, path).headers


@pytest.mark.parametrize("client_id", ["x" * 129, "café", "a\tb"])
def test_unusable_client_request_id(client: httpx.Client, client_id: str) -> None:
    """An id that would not fit into a header of ours is left out, not an error."""
    answer = client.get("/health", headers={"x-ms-client-request-id": client_id.encode()})  # pyright: ignore
    assert answer.status_code == 200
    assert "x-ms-client-request-id" not in answer.headers


@pytest.mark.parametrize(("method", "path", "status"), EVERY_KIND)
def test_errors_have_one_shape(client: httpx.Client, method: str, path: str, status: int) -> None:
    """The error body's code stands in x-ms-error-code, and only errors have that header."""
    answer = client.request(method, path)
    if status < 400:
        assert "x-ms-error-code" not in answer.headers
        return
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json()) == {"error"}
    error = answer.json()["error"]
    assert set(error) <= {"code", "message", "target", "details"}
    assert answer.headers["x-ms-error-code"] == error["code"]
    assert error["message"]


@pytest.mark.parametrize(("method", "path", "status"), EVERY_KIND)
def test_exposed_to_browsers(client: httpx.Client, method: str, path: str, status: int) -> None:
    """With Origin a script may read the LRO headers, Retry-After and both ids; without it nothing is said."""
    exposed = client.request(method, path, headers={"Origin": "https://app.example"}).headers[
        "access-control-expose-headers"
    ]
    names = {name.strip().lower() for name in exposed.split(",")}
    headers = {"operation-location", "operation-id", "location", "azure-asyncoperation", "retry-after"}
    assert names >= headers | {"x-ms-request-id", "x-ms-error-code"}
    assert "access-control-expose-headers" not in client.request(method, path).headers


def test_health_is_anonymous_and_says_nothing(host: LocalHost) -> None:
    """Nobody needs to sign in for it, and it tells no name, version or store."""
    answer = ask("GET", f"{host.url}/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "Healthy"})


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "/health", "GET, HEAD"),
        ("DELETE", "/status", "GET, HEAD"),
        ("POST", "/status/x1", "DELETE, GET, HEAD"),
        ("PUT", "/status/x1", "DELETE, GET, HEAD"),
        ("PATCH", "/status/x1/result", "GET, HEAD"),
        ("GET", "/status/x1:cancel", "POST"),
        ("DELETE", "/status/x1:cancel", "POST"),
        ("GET", "/book/b1:upload-start", "POST"),
        ("PUT", "/book/b1:upload-start", "POST"),
        ("POST", "/book/b1", "DELETE, GET, HEAD, PUT"),
        ("POST", "/imports/x1", "DELETE, GET, HEAD, PUT"),
        ("GET", "/imports/x1:cancel", "POST"),
        ("PUT", "/imports/x1:cancel", "POST"),
        ("DELETE", "/book/b1/operations/x1", "GET, HEAD"),
        ("OPTIONS", "/book", "GET, HEAD"),
        ("HEAD", "/book/b1:upload-start", "POST"),
        ("GET", "/trial:tick", "POST"),
        ("GET", "/book/b1%3Aupload-start", "POST"),
    ],
)
def test_known_path_with_another_method(client: httpx.Client, method: str, path: str, allow: str) -> None:
    """405 with Allow."""
    answer = client.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allow)
    assert answer.headers["x-ms-error-code"] == "MethodNotAllowed"


@pytest.mark.parametrize(
    ("method", "path", "named"),
    [
        ("POST", "/book/b1:burn", ["count-words", "upload-finish", "upload-start"]),
        ("GET", "/book/b1:burn", ["count-words", "upload-finish", "upload-start"]),
        ("PUT", "/book/b1:burn", ["count-words", "upload-finish", "upload-start"]),
        ("POST", "/book/b1:", ["count-words", "upload-finish", "upload-start"]),
        ("POST", "/status/x1:pause", ["cancel", "retry", "update"]),
        ("GET", "/status/x1:pause", ["cancel", "retry", "update"]),
        ("DELETE", "/status/x1:pause", ["cancel", "retry", "update"]),
        ("POST", "/trial:tock", ["tick"]),
    ],
)
def test_unknown_action_names_the_known_ones(client: httpx.Client, method: str, path: str, named: list[str]) -> None:
    """A last segment with a colon is an action: 404 that names what there is, never 405, and nothing is created."""
    answer = client.request(method, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "ActionNotFound")
    assert f"Known here: {', '.join(named)}." in answer.json()["error"]["message"]
    assert "allow" not in answer.headers
    assert listing(client) == []


@pytest.mark.parametrize("path", ["/", "/nowhere", "/book/b1/pages", "/status/x1/results", "/nowhere/x:y", "/health/"])
def test_unknown_path(client: httpx.Client, path: str) -> None:
    """404 with an error body for whatever is not there; a slash at the end is the host's to forgive."""
    answer = client.request("GET", httpx.URL(f"{client.base_url}".rstrip("/") + path))
    if path == "/health/":
        assert answer.status_code == 200
        return
    assert (answer.status_code, answer.headers["x-ms-error-code"]) == (404, answer.json()["error"]["code"])


def test_api_version_defaults(host: LocalHost, client: httpx.Client) -> None:
    """Without api-version the default counts, and monitor URLs carry it as those of a caller who names it."""
    for query in ("", "?api-version=2026-01-01", "?API-Version=2026-01-01"):
        answer = client.post(f"/trial/t1:nothing{query}")
        assert answer.headers["operation-location"].endswith(f"/status/{answer.json()['id']}?api-version=2026-01-01")


@pytest.mark.parametrize("version", ["2019-01-01", "2026-01-01-preview", "", "latest", "2026-01-01&api-version=x"])
def test_unknown_api_version(client: httpx.Client, version: str) -> None:
    """400 UnsupportedApiVersionValue, naming the supported ones, at every route; nothing is created."""
    state = run(client, "/trial/t1:nothing")
    for method, path in (
        ("POST", "/trial/t1:nothing"),
        ("GET", "/status"),
        ("GET", f"/status/{state['id']}"),
        ("GET", f"/status/{state['id']}/result"),
        ("POST", f"/status/{state['id']}:cancel"),
        ("DELETE", f"/status/{state['id']}"),
        ("GET", "/book"),
        ("GET", "/book/b1"),
    ):
        answer = client.request(method, f"{path}?api-version={version}")
        found = (answer.status_code, answer.headers["x-ms-error-code"])
        assert found == (400, "UnsupportedApiVersionValue"), (method, path)
        assert "2026-01-01" in answer.json()["error"]["message"]
    assert [item["id"] for item in listing(client)] == [state["id"]]


def test_api_version_required(settings_host: LocalHost) -> None:
    """With the setting, a request without api-version is 400 MissingApiVersionParameter; health needs none."""
    with httpx.Client(verify=False, base_url=settings_host.url) as client:
        for method, path in (("POST", "/trial/t1:nothing"), ("GET", "/status"), ("GET", "/status/x"), ("GET", "/book")):
            answer = client.request(method, path)
            assert (answer.status_code, answer.headers["x-ms-error-code"]) == (400, "MissingApiVersionParameter")
            assert answer.json()["error"]["target"] == "api-version"
        answer = client.post("/trial/t1:nothing?api-version=2026-01-01")
        assert answer.status_code == 202
        assert client.get(answer.headers["operation-location"]).status_code == 200
        assert client.get("/health").status_code == 200


def test_forwarded_headers_count_only_when_trusted(host: LocalHost, settings_host: LocalHost) -> None:
    """X-Forwarded-* make the public address with the setting, and are ignored without it."""
    forwarded = {"X-Forwarded-Proto": "https, http", "X-Forwarded-Host": "api.example.com:8443, inner"}
    trusted = ask("POST", f"{settings_host.url}/trial/t1:nothing?api-version=2026-01-01", headers=forwarded)
    assert trusted.headers["operation-location"].startswith("https://api.example.com:8443/status/")
    with caller(host.url) as client:
        untrusted = client.post("/trial/t1:nothing", headers=forwarded)
    assert untrusted.headers["operation-location"].startswith(f"{host.url}/status/")


@pytest.mark.parametrize("forwarded", ["evil.example/path", "a b", "user@host", "host?x", "[::1"])
def test_forwarded_host_that_is_none(settings_host: LocalHost, forwarded: str) -> None:
    """A forwarded host that would make another URL of it is 400 InvalidHost, and nothing is created."""
    with httpx.Client(verify=False, base_url=settings_host.url, params={"api-version": "2026-01-01"}) as client:
        before = listing(client, **{"api-version": "2026-01-01"})
        answer = client.post("/trial/t1:nothing", headers={"X-Forwarded-Host": forwarded})
        assert (answer.status_code, answer.headers["x-ms-error-code"]) == (400, "InvalidHost")
        assert listing(client, **{"api-version": "2026-01-01"}) == before


def test_host_header_makes_the_address(host: LocalHost, client: httpx.Client) -> None:
    """Without a setting the address is the one the caller used."""
    answer = client.post("/trial/t1:nothing", headers={"Host": "books.example:81"})
    assert answer.headers["operation-location"].startswith("http://books.example:81/status/")
    odd = raw_request("POST", "/trial/t1:nothing").replace(b"Host: localhost", b"Host: a/b")
    status, headers, _ = asyncio.run(exchange(host.port, odd))
    # A host that is none: refused by the server itself, by the app, or for want of a principal, but never used.
    assert status in {400, 401}
    assert "operation-location" not in headers


@pytest.fixture(scope="module")
def public_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHost]:
    environment = {"PUBLIC_BASE_URL": "https://api.example.com/library/", **AUTHENTICATED}
    folder: Path = tmp_path_factory.mktemp("host-public")
    with LocalHost(folder, app_root=SAMPLE_APP, environment=environment) as running:
        yield running


def test_public_base_url(public_host: LocalHost) -> None:
    """With PUBLIC_BASE_URL every link we hand out begins with it, whatever Host says."""
    with caller(public_host.url) as client:
        started = client.post("/trial/t1:nothing", headers={"Host": "inner", "X-Forwarded-Host": "evil.example"})
        operation_id = started.json()["id"]
        assert started.headers["operation-location"] == (
            f"https://api.example.com/library/status/{operation_id}?api-version=2026-01-01"
        )
        begin(client, "/trial/t1:nothing")
        assert client.get("/status?top=1").json()["nextLink"].startswith("https://api.example.com/library/status?")


def test_unknown_arm_paths_answer_as_arm_does(client: httpx.Client) -> None:
    """Below /subscriptions even an unknown action or method carries ARM's correlation id."""
    shelf = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/g/providers/Contoso.Library/shelves/a"
    headers = {"x-ms-correlation-request-id": "0d7f1f9c-9f3c-4c4d-8f0f-1f2f3f4f5f6f", "x-ms-client-request-id": "mine"}
    for method, path, status in (("POST", f"{shelf}/burn", 404), ("PUT", f"{shelf}/restart", 405)):
        answer = client.request(method, path, headers=headers)
        assert answer.status_code == status
        assert answer.headers["x-ms-correlation-request-id"] == headers["x-ms-correlation-request-id"]
        assert "x-ms-client-request-id" not in answer.headers
