"""What is said of a service that there is no connection to, over real sockets: each cause has its words."""

import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lro_client import Limits, ServiceUnreachable
from tests.client.clocks import QuickClock
from tests.client.hostile import QUICK, Hostile, hostile
from tests.client.lro_command import lro
from tests.client.twins import Twins

pytestmark = pytest.mark.timeout(60)


def failure(twins: Twins, url: str, **options: Any) -> str:
    """What a start comes to, which nobody has got: a POST, which is sent again only if it was not sent."""
    with pytest.raises(ServiceUnreachable) as caught:
        twins.client("LroClient", url, **(QUICK | {"clock": QuickClock()} | options)).start("POST", "start")
    assert "may have taken" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def closed() -> str:
    """A URL whose port nobody listens at."""
    with hostile(poll=b"") as server:
        return server.url


@pytest.fixture
def full() -> Iterator[str]:
    """A URL where connections are neither accepted nor refused: the queue is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        for each in waiting:
            each.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a certificate that nobody vouches for, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(secret + made.public_bytes(pem))
    return path


def test_refused(twins: Twins, closed: str) -> None:
    assert failure(twins, closed) == f"{closed}/start could not be reached: the connection was refused."


def test_name(twins: Twins) -> None:
    """A host without an address."""
    message = failure(twins, "http://no-such-host.invalid")
    assert message == "http://no-such-host.invalid/start could not be reached: its name could not be resolved."


def test_certificate(twins: Twins, certificate: Path) -> None:
    """A certificate that nobody vouches for: the reason is OpenSSL's own."""

    def shake_hands(connection: socket.socket) -> socket.socket:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        return context.wrap_socket(connection, server_side=True)

    server = Hostile(lambda connection, head: None, shake_hands)
    try:
        message = failure(twins, f"https://127.0.0.1:{server.port}")
    finally:
        server.close()
    assert "could not be reached: no secure connection could be made: self" in message
    assert server.heads == []


def test_no_tls(twins: Twins) -> None:
    """https to a port that speaks http."""

    def speak_http(connection: socket.socket) -> socket.socket:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        return connection

    server = Hostile(lambda connection, head: None, speak_http)
    try:
        message = failure(twins, f"https://127.0.0.1:{server.port}")
    finally:
        server.close()
    assert "could not be reached: no secure connection could be made: " in message
    assert message.endswith("; perhaps it speaks http, and not https.")


def test_no_connection_in_time(twins: Twins, full: str) -> None:
    message = failure(twins, full, limits=Limits(connect_seconds=0.2))
    assert message == f"{full}/start could not be reached: no connection came in time."


def test_proxy(twins: Twins, closed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is the proxy that cannot be reached, nothing is said of the service."""
    monkeypatch.setenv("http_proxy", closed)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert "could not be reached: the proxy: the connection was refused." in failure(twins, "http://contoso.example")


@pytest.mark.parametrize("line", ["start POST {}", "wait {}", "status {}", "cancel {}", "list {}", "odata call {} A"])
@pytest.mark.parametrize("timeout", [[], ["--timeout", "2"]], ids=["", "timeout"])
def test_the_command(closed: str, line: str, timeout: list[str]) -> None:
    """ "Refused" is said by every command, and never that the time was too short."""
    done = lro(*line.format(f"{closed}/x").split(), *timeout)
    assert (done.code, done.out) == (5, "")
    assert "the connection was refused." in done.err
    assert "in time" not in done.err
