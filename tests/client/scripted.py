"""A service without sockets: a function answers, and time passes only when somebody sleeps."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel

import lro_client
from lro_client.cancellation import CancellationToken
from lro_client.clock import Clock
from lro_client.exchange import Settings
from lro_client.messages import Answer, Headers, Request
from lro_client.pacing import Pace, Retries
from lro_client.steps import Interrupted, Lost

HOME = "https://contoso.example"
MONITOR = f"{HOME}/operations/1"
START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Reply:
    """What the service answers."""

    status: int = 200
    json: Any = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes | None = None

    def to(self, request: Request) -> Answer:
        import json

        headers = Headers(self.headers)
        if self.body is None and self.json is not None:
            headers = Headers({"Content-Type": "application/json"}).merged(headers)
        body = self.body if self.body is not None else b"" if self.json is None else json.dumps(self.json).encode()
        return Answer(request.method, request.url, self.status, headers, body)


ACCEPTED = Reply(202, {"id": "1", "status": "NotStarted"}, {"Operation-Location": MONITOR})
RUNNING = Reply(200, {"id": "1", "status": "Running"})
SUCCEEDED = Reply(200, {"id": "1", "status": "Succeeded", "result": {"n": 7}})
Scripted = Reply | Exception | Callable[[Request], Reply]


class Service:
    """Answers one after the other from its script; the last one for ever. It is the sender of its clients."""

    def __init__(self, *script: Scripted) -> None:
        self.script = list(script)
        self.requests: list[Request] = []
        self.at: list[float] = []
        self.now = 0.0
        self.timeouts: list[float] = []
        self.on_sleep: Callable[[float], None] | None = None

    def client(self, name: str = "LroClient", *arguments: Any, **options: Any) -> Any:
        """A blocking client of this service. Chance is 0.5, so that nothing is spread about its middle."""
        settings = Settings(
            headers=Headers(options.pop("headers", {})),
            allowed_origins=options.pop("allowed_origins", ()),
            pace=options.pop("pace", Pace()),
            retries=options.pop("retries", Retries()),
            clock=ServiceClock(self),
            chance=lambda: 0.5,
        )
        made = getattr(lro_client, name)(*(arguments or (HOME,)), settings=settings, **options)
        made.close()
        made._sender = self
        return made

    def send(self, request: Request, timeout: float, token: CancellationToken | None) -> Answer:
        self.requests.append(request)
        self.at.append(self.now)
        self.timeouts.append(timeout)
        reply = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(reply, Exception):
            raise reply
        if token is not None and token.is_canceled:
            raise Interrupted
        return (reply(request) if callable(reply) else reply).to(request)

    def sleep(self, seconds: float, token: CancellationToken | None) -> None:
        assert seconds >= 0
        self.now += seconds
        if self.on_sleep is not None:
            self.on_sleep(self.now)
        if token is not None and token.is_canceled:
            raise Interrupted

    def close(self) -> None:
        """A sender can be closed."""

    @property
    def urls(self) -> list[str]:
        return [f"{request.method} {request.url}" for request in self.requests]


class ServiceClock(Clock):
    """Reads the time that has passed at a service; its sender is the one that sleeps."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def monotonic(self) -> float:
        return self._service.now

    def now(self) -> datetime:
        return START + timedelta(seconds=self._service.now)


def lost(*, was_sent: bool = True) -> Lost:
    return Lost("the connection was closed", was_sent=was_sent)


class Counted(BaseModel):
    """The result of `SUCCEEDED`."""

    n: int


def started(*script: Any, **options: Any) -> tuple[Service, Any]:
    """A service with this script after its 202, and the operation that was started."""
    service = Service(ACCEPTED, *script)
    return service, service.client(**options).start("POST", "things/1:go", json={})
