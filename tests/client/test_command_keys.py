"""Where the command takes keys from, where it sends them, and that it never shows them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.hostile import JSON, SUCCEEDED, Hostile, answer, hostile
from tests.client.lro_command import Done, lro

pytestmark = pytest.mark.timeout(60)

SECRET = "c2VjcmV0LWtleQ"


@pytest.fixture
def server() -> Iterator[Hostile]:
    with hostile(poll=SUCCEEDED) as server:
        yield server


def sent(server: Hostile, header: str) -> list[str | None]:
    """The header's value in each request."""
    found: list[str | None] = []
    for head in server.heads:
        fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        found.append({name.lower(): value for name, value in fields.items()}.get(header))
    return found


def test_key(server: Hostile) -> None:
    """LRO_KEY goes with the start and the polls, in the header that LRO_KEY_HEADER names."""
    for name in ("x-functions-key", "api-key"):
        server.heads.clear()
        env = {"LRO_KEY": SECRET} | ({"LRO_KEY_HEADER": name} if name != "x-functions-key" else {})
        done = lro("start", "POST", f"{server.url}/start", "--wait", "-o", "json", env=env)
        assert done.json["result"] == 7
        assert sent(server, name) == [SECRET, SECRET]
        never_shown(done)


def test_bearer_token(server: Hostile) -> None:
    """LRO_TOKEN is a bearer token."""
    done = lro("start", "POST", f"{server.url}/start", "--wait", env={"LRO_TOKEN": SECRET})
    assert done.code == 0, done.err
    assert sent(server, "authorization") == [f"Bearer {SECRET}"] * 2
    never_shown(done)


def test_no_key(server: Hostile) -> None:
    """Without a key none is sent, and nothing asks for one."""
    lro("start", "POST", f"{server.url}/start", "--wait")
    assert sent(server, "authorization") == sent(server, "x-functions-key") == [None, None]


def test_key_stays_at_home(server: Hostile) -> None:
    """A monitor at another origin is polled without the key, unless that origin is allowed."""
    for allowed, expected in ((False, None), (True, SECRET)):
        start = answer("202 Accepted", f"Operation-Location: {server.url}/monitor")
        with hostile(poll=b"", start=start) as first:
            server.heads.clear()
            more = ["--allow-origin", server.url] if allowed else []
            done = lro("start", "POST", f"{first.url}/start", "--wait", *more, env={"LRO_KEY": SECRET})
            assert done.code == 0, done.err
            assert sent(first, "x-functions-key") == [SECRET]
            assert sent(server, "x-functions-key") == [expected]


def test_no_key_over_http() -> None:
    """A key is not sent over http to another machine."""
    done = lro("start", "POST", "http://contoso.example/start", env={"LRO_KEY": SECRET})
    assert done.code == 1
    assert "http" in done.err
    never_shown(done)


def test_saved_token_has_no_key(server: Hostile, tmp_path: Path) -> None:
    """The token of an operation that was started with a key holds none; LRO_ENDPOINT refuses another origin's."""
    path = tmp_path / "token"
    lro("start", "POST", f"{server.url}/start", "--save-token", path, env={"LRO_KEY": SECRET})
    assert SECRET not in path.read_text()
    server.heads.clear()
    refused = lro("resume", path, env={"LRO_KEY": SECRET, "LRO_ENDPOINT": "https://contoso.example"})
    assert (refused.code, server.heads) == (2, [])
    resumed = lro("resume", path, env={"LRO_KEY": SECRET, "LRO_ENDPOINT": server.url})
    assert (resumed.code, sent(server, "x-functions-key")) == (0, [SECRET])


def test_errors_do_not_show_it(tmp_path: Path) -> None:
    """A service that fails gets the key, and what it makes of it is its own words only."""
    with hostile(poll=b"", start=answer("500 Oops", JSON, '{"error": {"code": "Broken", "message": "no"}}')) as server:
        done = lro("start", "POST", f"{server.url}/start?code={SECRET}", "-o", "json", env={"LRO_KEY": SECRET})
    assert done.code == 5
    never_shown(done)


def test_more_than_one() -> None:
    """Two credentials at once are a mistake, not a choice."""
    done = lro("wait", "http://127.0.0.1/x", env={"LRO_KEY": SECRET, "LRO_TOKEN": SECRET})
    assert done.code == 2
    assert "more than one" in done.err
    never_shown(done)


def test_identity_that_has_no_token() -> None:
    """azure-identity is asked with --identity; where nobody is signed in the command says so, and sends nothing."""
    with hostile(poll=SUCCEEDED) as server:
        env = {"AZURE_TOKEN_CREDENTIALS": "EnvironmentCredential"}
        line = ["start", "POST", f"{server.url}/start", "--identity", "--scope", "https://contoso.example/.default"]
        done = lro(*line, "-o", "json", env=env)
        assert (done.code, done.json["error"]["code"]) == (1, "CredentialUnavailable")
        assert server.heads == []


def never_shown(done: Done) -> None:
    assert SECRET not in done.out + done.err
