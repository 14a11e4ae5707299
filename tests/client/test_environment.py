"""What the environment may do to a client: proxies, and a `.netrc`. Real transports, over real sockets."""

import base64
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.core.credentials import AzureKeyCredential

from lro_client import ServiceUnreachable
from lro_client.proxies import proxy_for
from tests.client.hostile import JSON, QUICK, SECRET, Hostile, answer, hostile
from tests.client.twins import Twins

ELSEWHERE = "contoso.example"


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy but the test's own."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def proxy() -> Iterator[Hostile]:
    """Answers every request that comes by it."""
    with hostile(poll=b"", start=answer("200 OK", JSON, '"by the proxy"')) as server:
        yield server


def client(twins: Twins, home: str, **options: Any) -> Any:
    return twins.client("LroClient", home, **(QUICK | options))


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_proxy(twins: Twins, proxy: Hostile, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """What is not on this machine is asked through the proxy of its scheme, or of all."""
    if name == "HTTP_PROXY" and os.name == "nt":
        pytest.skip("names have no case there")
    monkeypatch.setenv(name, proxy.url)
    assert client(twins, f"http://{ELSEWHERE}").run("POST", "start", timeout=10) == "by the proxy"
    assert proxy.heads[0].startswith(f"POST http://{ELSEWHERE}/start ")


@pytest.mark.parametrize("name", ["HTTP_PROXY", "ALL_PROXY"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "api.localhost"])
def test_no_proxy_to_this_machine(
    twins: Twins, proxy: Hostile, monkeypatch: pytest.MonkeyPatch, name: str, host: str
) -> None:
    """A loopback address is asked directly, whatever the environment says: a key goes there in clear."""
    monkeypatch.setenv(name, proxy.url)
    with hostile(poll=b"", start=answer("200 OK", JSON, '"directly"')) as server:
        caller = client(twins, f"http://{host}:{server.port}", credential=AzureKeyCredential(SECRET))
        try:
            assert caller.run("POST", "start", timeout=10) == "directly"
        except ServiceUnreachable:
            assert host == "api.localhost", "not every system resolves it"
        assert proxy.heads == []
        assert host == "api.localhost" or SECRET in server.heads[0]


def test_no_proxy_of_another_scheme(twins: Twins, proxy: Hostile, monkeypatch: pytest.MonkeyPatch) -> None:
    """https does not go through a proxy that is named for http."""
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    with pytest.raises(ServiceUnreachable):
        client(twins, "https://nowhere.invalid").start("POST", "start", timeout=5)
    assert proxy.heads == []


@pytest.mark.parametrize("name", [ELSEWHERE, f"{ELSEWHERE}:80", ".invalid,contoso.example", "*"])
def test_bypass(twins: Twins, proxy: Hostile, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """NO_PROXY is kept to, with and without a port."""
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", name)
    with pytest.raises(ServiceUnreachable):
        client(twins, f"http://{ELSEWHERE}:80").start("POST", "start", timeout=5)
    assert proxy.heads == []


def test_which_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scheme's own, then that for all; none for a loopback address of any form."""
    assert proxy_for("https://contoso.example/") is None
    monkeypatch.setenv("ALL_PROXY", "http://all.example")
    monkeypatch.setenv("HTTP_PROXY", "http://plain.example")
    assert proxy_for("https://contoso.example/") == "http://all.example"
    assert proxy_for("http://contoso.example/") == "http://plain.example"
    monkeypatch.setenv("HTTPS_PROXY", "http://secure.example")
    assert proxy_for("HTTPS://contoso.example/") == "http://secure.example"
    for host in ("[::1]:7071", "127.9.9.9", "LOCALHOST"):
        assert proxy_for(f"http://{host}/") is None


def test_netrc(twins: Twins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `.netrc` adds no credential, and does not replace the caller's."""
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login someone password from-netrc\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))
    with hostile(poll=b"", start=answer("200 OK", JSON, "1")) as server:
        caller = client(twins, server.url)
        caller.run("POST", "start", timeout=10)
        caller.run("POST", "start", timeout=10, headers={"Authorization": "Bearer mine"})
    assert "authorization" not in server.heads[0].lower()
    assert "Bearer mine" in server.heads[1]
    assert base64.b64encode(b"someone:from-netrc").decode() not in "".join(server.heads)
