"""Which URLs are followed, and which may see a credential."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lro_client import UnsafeUrl
from lro_client.urls import (
    MAX_URL,
    append_to_path,
    below,
    check,
    is_loopback,
    is_trusted,
    last_segment,
    normalized,
    origin,
    resolve,
    same_resource,
    secrets_in,
    with_api_version,
    without_secrets,
)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/relative",
        "ftp://a.example/",
        "file:///etc/passwd",
        "https://",
        "https://user:password@a.example/",
        "https://a.example@evil.example/",
        "https://a.example:port/",
        "https://a.example:0/",
        "https://a.example:99999/",
        "https://a.example/\r\nX: y",
        "https://a.example/ b",
        "https://a.example\\@evil.example/",
        "https://[::1/",
        f"https://a.example/{'x' * MAX_URL}",
    ],
)
def test_refused(url: str) -> None:
    """Only absolute http and https URLs of sensible length, without a user and without control characters."""
    with pytest.raises(UnsafeUrl):
        check(url)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://a.example/x", "https://A.example:443/y?z", True),
        ("https://a.example./x", "https://a.example/", True),
        ("http://a.example/", "http://a.example:80/", True),
        ("https://a.example/", "https://a.example:8443/", False),
        ("https://a.example/", "https://b.a.example/", False),
        ("https://a.example/", "http://a.example/", False),
        ("https://a.example/", "https://a.example.evil.example/", False),
        ("http://[::1]:80/", "http://[::1]/", True),
    ],
)
def test_origins(one: str, other: str, same: bool) -> None:
    """Scheme, host and port, with their defaults; a subdomain is another origin."""
    assert (origin(one) == origin(other)) is same
    assert is_trusted(other, one) is same
    assert is_trusted(other, one, ["https://unrelated.example"]) is same


def test_comparison() -> None:
    """Schemes and hosts have no case, and ports a default (RFC 3986, 6.2.2 and 6.2.3); paths and queries have case."""
    url = normalized("https://a.example/X?y=Z")
    for same in ("HTTPS://a.example/X?y=Z", "https://A.Example/X?y=Z", "https://a.example:443/X?y=Z#part"):
        assert normalized(same) == url
    for other in ("http://a.example/X?y=Z", "https://a.example:80/X?y=Z", "https://a.example/x?y=Z",
                  "https://a.example/X?y=z", "https://a.example/X"):  # fmt: skip
        assert normalized(other) != url
    assert normalized("http://a.example") == normalized("HTTP://a.example:80/")


def test_paths_below_an_endpoint() -> None:
    """A colon does not make a scheme of a path; a slash in front leads to the root, and a query comes last."""
    assert below("https://a.example/api", "book/x:upload") == "https://a.example/api/book/x:upload"
    assert below("https://a.example/api/?v=1", "b:c?d=2") == "https://a.example/api/b:c?d=2&v=1"
    assert below("https://a.example/api", "/status") == "https://a.example/status"


def test_allowed_origins_are_trusted() -> None:
    """What the caller allows is trusted beside the start's, by origin and not by prefix."""
    assert is_trusted("https://b.example/x", "https://a.example", ["https://b.example/y"])
    assert not is_trusted("https://b.example.evil.example/x", "https://a.example", ["https://b.example"])


@given(st.text(max_size=80))
def test_nothing_leads_from_https_to_http(found: str) -> None:
    """Whatever a service names is refused, or stays on https."""
    try:
        url = resolve("https://a.example/x/y?z", found)
    except UnsafeUrl:
        return
    assert url.lower().startswith("https://")
    assert "@" not in url.split("/")[2]


def test_references() -> None:
    """Relative references are resolved as RFC 3986 says; http may lead to https."""
    base = "https://a.example/x/y?z"
    assert resolve(base, "/q?r") == "https://a.example/q?r"
    assert resolve(base, "w") == "https://a.example/x/w"
    assert resolve(base, "//b.example/q") == "https://b.example/q"
    assert resolve("http://a.example/", "https://a.example/") == "https://a.example/"
    assert resolve(base, "/q w?r s") == "https://a.example/q%20w?r%20s"
    for twice in ("https://a.example/q, https://a.example/q", "https://a.example/q,https://a.example/q", "/q ,/q"):
        assert resolve(base, twice) == "https://a.example/q"
    assert resolve(base, "/q(a='1',b='1')") == "https://a.example/q(a='1',b='1')"
    for two in ("https://a.example/q, https://b.example/q", "/q, /r", "https://a.example/q,https://b.example/q"):
        with pytest.raises(UnsafeUrl, match="2 URLs"):
            resolve(base, two)


@pytest.mark.parametrize(
    "found",
    [
        "https://a.example/q?sig=s3cret, https://b.example/q?sig=s3cret",
        "https://a.example:port/q?sig=s3cret",
        "https://[a/q?sig=s3cret",
        "ftp://a.example/q?sig=s3cret",
        "https://a.example/\x01?sig=s3cret",
    ],
)
def test_what_is_refused_is_shown_without_its_query(found: str) -> None:
    """A monitor's URL may have a key in it, and messages are logged."""
    for refused in (lambda: resolve("https://a.example/", found), lambda: check(found)):
        with pytest.raises(UnsafeUrl) as caught:
            refused()
        assert "a" in str(caught.value)
        assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "is_local"),
    [
        ("http://127.0.0.1:7071/", True),
        ("http://127.9.9.9/", True),
        ("http://localhost/", True),
        ("http://api.localhost/", True),
        ("http://[::1]/", True),
        ("http://127.0.0.1.evil.example/", False),
        ("http://localhost.evil.example/", False),
        ("http://10.0.0.1/", False),
    ],
)
def test_loopback(url: str, is_local: bool) -> None:
    """Only what cannot leave this machine."""
    assert is_loopback(url) is is_local


def test_parts() -> None:
    """The small things: ids, control URLs, the same resource, the api-version of a start."""
    assert last_segment("https://a.example/ops/5?x=/6") == "5"
    assert last_segment("https://a.example/ops/a%20b/") == "a b"
    assert append_to_path("https://a.example/ops/5?api-version=1", ":cancel") == (
        "https://a.example/ops/5:cancel?api-version=1"
    )
    assert same_resource("https://a.example/x?y", "https://a.example:443/x/")
    assert not same_resource("https://a.example/x", "https://a.example/X")
    start = "https://a.example/x?api-version=2026-01-01"
    assert with_api_version("https://a.example/o", start) == "https://a.example/o?api-version=2026-01-01"
    assert with_api_version("https://b.example/o", start) == "https://b.example/o"
    assert with_api_version("https://a.example/o", "https://a.example/x") == "https://a.example/o"


def test_secrets() -> None:
    """Query parameters that look like keys are found, and taken out without touching the others."""
    url = "https://a.example/x?a=%2F1&code=abc&SIG=d&api_key=e&Password=f&empty"
    assert secrets_in(url) == ["api_key", "code", "password", "sig"]
    assert without_secrets(url) == "https://a.example/x?a=%2F1&empty"
