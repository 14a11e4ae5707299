"""Headers of every profile: base URL, owner, request ids, what browsers may read."""

import json
import uuid

import pytest

from shared.contracts.arm.headers import monitor_base
from shared.contracts.headers import EXPOSED, base_url, complete, owner, segment
from shared.contracts.http import Request, Response
from shared.contracts.versions import DEFAULT, api_version
from shared.errors import RequestError, SettingsError
from shared.settings import Settings
from tests.support.host import ROOT

FOR_THE_BROWSER = {
    "Access-Control-Expose-Headers",
    "Cache-Control",
    "Content-Security-Policy",
    "Cross-Origin-Opener-Policy",
    "Referrer-Policy",
    "Vary",
    "X-Content-Type-Options",
    "X-Frame-Options",
}
"""It acts on them itself, or exposes them anyway."""


PREFIXED = {"AzureFunctionsJobHost__extensions__http__routePrefix": "v1/api"}


def request(url: str = "http://127.0.0.1:7071/book/1", **headers: str) -> Request:
    return Request(method="GET", url=url, headers={k.replace("_", "-"): v for k, v in headers.items()})


def configured(**values: str) -> Settings:
    return Settings.read(values)


def test_base_url() -> None:
    """The setting wins, without a slash at its end; else it is the request's own address."""
    assert base_url(request(), configured()) == "http://127.0.0.1:7071"
    assert base_url(request("https://[::1]:80/x?y"), configured()) == "https://[::1]:80"
    assert base_url(request(), configured(PUBLIC_BASE_URL="https://api.example/v1/")) == "https://api.example/v1"


def test_base_url_behind_a_route_prefix() -> None:
    """The prefix is part of the address, whatever the request's path; PUBLIC_BASE_URL is the whole of it."""
    assert base_url(request(), configured(**PREFIXED)) == "http://127.0.0.1:7071/v1/api"
    forwarded = configured(TRUST_FORWARDED_HEADERS="true", **PREFIXED)
    assert base_url(request(x_forwarded_host="api.example"), forwarded) == "http://api.example/v1/api"
    assert base_url(request(), configured(PUBLIC_BASE_URL="https://api.example/v1/", **PREFIXED)) == (
        "https://api.example/v1"
    )


def test_arm_monitors_behind_a_route_prefix() -> None:
    """ARM's own addresses have no prefix of ours: with a trusted referer there is none."""
    sent = request(referer="https://management.azure.com/subscriptions/x")
    assert monitor_base(sent, configured(**PREFIXED)) == "http://127.0.0.1:7071/v1/api"
    assert monitor_base(sent, configured(TRUST_REFERER="true", **PREFIXED)) == "https://management.azure.com"


@pytest.mark.parametrize(
    ("url", "root_path", "path"),
    [
        ("http://h/status/x?y", "", "/status/x"),
        ("http://h/api/status/x?y", "/api", "/status/x"),
        ("http://h/V1/%61pi/status/a%2Fb", "/v1/api", "/status/a%2Fb"),
        ("http://h/api//status/", "/api", "//status/"),
        ("http://h/api", "/api", "/"),
        ("http://h", "/api", "/"),
    ],
)
def test_paths_below_a_route_prefix(url: str, root_path: str, path: str) -> None:
    """Routes see a path without the prefix, however a caller has written that."""
    assert Request(method="GET", url=url, root_path=root_path).path == path


def test_forwarded() -> None:
    """Forwarded headers count only when the app is told to trust them, and then the first of several."""
    sent = request(x_forwarded_proto="https", x_forwarded_host="api.example, inner")
    assert base_url(sent, configured()) == "http://127.0.0.1:7071"
    assert base_url(sent, configured(TRUST_FORWARDED_HEADERS="true")) == "https://api.example"
    assert base_url(request(), configured(TRUST_FORWARDED_HEADERS="true")) == "http://127.0.0.1:7071"


@pytest.mark.parametrize(
    "url",
    ["http://a b/x", "http://u@evil/x", "http://[::1/x", "http://x:y/", "http:///x", "ftp://h/x", "http://é/", ""],
)
def test_hostile_host(url: str) -> None:
    """A host that is no host is 400: it never reaches a URL of ours, and never crashes us."""
    with pytest.raises(RequestError) as caught:
        base_url(request(url), configured())
    assert (caught.value.status, caught.value.code) == (400, "InvalidHost")
    assert isinstance(request(url).path, str)


def test_hostile_forwarded_host() -> None:
    """The same for a trusted forwarded host."""
    with pytest.raises(RequestError, match="InvalidHost"):
        base_url(request(x_forwarded_host="evil/x?"), configured(TRUST_FORWARDED_HEADERS="true"))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ""),
        ({"WEBSITE_AUTH_ENABLED": "true"}, ""),
        ({"TRUST_PLATFORM_AUTH": "true", "WEBSITE_AUTH_ENABLED": "True"}, "aad:me"),
    ],
)
def test_owner(settings: dict[str, str], expected: str) -> None:
    """A principal is believed only when the setting says so and the platform says that it checks."""
    sent = request(x_ms_client_principal_id="me", x_ms_client_principal_idp="aad")
    assert owner(sent, configured(**settings)) == expected
    if expected:
        with pytest.raises(RequestError, match="401 Unauthenticated"):
            owner(request(), configured(**settings))


@pytest.mark.parametrize("enabled", [None, "", "False"])
def test_trust_without_the_platform(enabled: str | None) -> None:
    """Where principals are to be trusted and the platform does not check them, nobody is anybody: it is refused."""
    given = {"TRUST_PLATFORM_AUTH": "true"} | ({} if enabled is None else {"WEBSITE_AUTH_ENABLED": enabled})
    sent = request(x_ms_client_principal_id="me", x_ms_client_principal_idp="aad")
    for each in (sent, request()):
        with pytest.raises(SettingsError, match=r"TRUST_PLATFORM_AUTH.*WEBSITE_AUTH_ENABLED"):
            owner(each, configured(**given))


def test_request_ids() -> None:
    """Every answer has an id of its own; the client's id is echoed where it is printable, nothing else."""
    answer = complete(request(x_ms_client_request_id="abc 1"), Response(status=200))
    named = uuid.UUID(answer.headers["x-ms-request-id"])
    assert (named.version, named.variant, str(named)) == (4, uuid.RFC_4122, answer.headers["x-ms-request-id"])
    assert answer.headers["x-ms-client-request-id"] == "abc 1"
    other = complete(request(), Response(status=200))
    assert other.headers["x-ms-request-id"] != answer.headers["x-ms-request-id"]
    for bad in ("a\r\nSet-Cookie: x", "x" * 129, "é", "a\n"):
        assert (
            "x-ms-client-request-id" not in complete(request(x_ms_client_request_id=bad), Response(status=200)).headers
        )


def test_every_described_header_is_exposed() -> None:
    """What the description says an answer has, a script of another origin may read."""
    described = json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))
    found = set(described["components"]["headers"])
    found = {name.rpartition(".")[2] for name in found} - FOR_THE_BROWSER
    assert {"ETag", "Operation-Location", "AsyncResult", "x-ms-request-id"} <= found
    assert found <= set(EXPOSED.split(", "))


def test_exposed_headers() -> None:
    """Browsers are told what they may read, and only they."""
    answer = complete(request(origin="https://app.example"), Response(status=200, headers={"A": "b"}))
    assert answer.headers["Access-Control-Expose-Headers"] == EXPOSED
    assert answer.headers["A"] == "b"
    assert "Access-Control-Expose-Headers" not in complete(request(), Response(status=200)).headers


@pytest.mark.parametrize("name", ["api-version", "API-Version"])
def test_api_version(name: str) -> None:
    """The version is optional unless a setting requires it; an unknown one is refused with the guideline's code."""
    assert api_version(request(), required=False) == DEFAULT == "2026-01-01"
    twice = Request(method="GET", url="http://h/", query={name: "2026-01-01,2026-01-01", "x": "1"})
    assert api_version(twice, required=True) == "2026-01-01"
    sent = Request(method="GET", url="http://h/", query={name: "2026-01-01"})
    assert api_version(sent, required=True) == "2026-01-01"
    with pytest.raises(RequestError, match="400 MissingApiVersionParameter"):
        api_version(request(), required=True)
    for value in ("", "2020-01-01", "2026-01-01,2020-01-01", "2026-01-01,"):
        with pytest.raises(RequestError, match="400 UnsupportedApiVersionValue"):
            api_version(Request(method="GET", url="http://h/", query={name: value}), required=False)


def test_segment() -> None:
    """A segment never adds to the path or query of a URL."""
    assert segment("a/b?c#d%é") == "a%2Fb%3Fc%23d%25%C3%A9"
