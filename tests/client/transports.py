"""azure-core transports without sockets: the real pipelines run, and what would go out is kept."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from azure.core.pipeline.transport import AsyncHttpTransport, HttpTransport

from tests.client.scripted import Reply


@dataclass(frozen=True)
class Sent:
    """A request as it left the pipeline."""

    method: str
    url: str
    headers: Mapping[str, str]


Answering = Callable[[Sent], Reply]


class Head:
    """What an answer is to a pipeline."""

    def __init__(self, reply: Reply, request: Any) -> None:
        answer = reply.to(request)
        self.status_code = answer.status_code
        self.headers = dict(answer.headers)
        self.request = request
        self.content_type = answer.headers.get("content-type")
        self._body = answer.body

    def iter_bytes(self) -> Iterator[bytes]:
        yield self._body

    def close(self) -> None:
        """Nothing is open."""


class AsyncHead(Head):
    async def iter_bytes(self) -> Any:
        yield self._body

    async def close(self) -> None:
        """Nothing is open."""


def _sent(request: Any) -> Sent:
    return Sent(request.method, request.url, {name.lower(): value for name, value in request.headers.items()})


class ScriptedTransport(HttpTransport[Any, Any]):
    def __init__(self, answering: Answering) -> None:
        self.seen: list[Sent] = []
        self._answering = answering

    def send(self, request: Any, **options: Any) -> Any:
        self.seen.append(_sent(request))
        return Head(self._answering(self.seen[-1]), request)

    def open(self) -> None:
        """Nothing to open."""

    def close(self) -> None:
        """Nothing to close."""

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *arguments: Any) -> None:
        """Nothing to close."""


class AsyncScriptedTransport(AsyncHttpTransport[Any, Any]):
    def __init__(self, answering: Answering) -> None:
        self.seen: list[Sent] = []
        self._answering = answering

    async def send(self, request: Any, **options: Any) -> Any:
        self.seen.append(_sent(request))
        return AsyncHead(self._answering(self.seen[-1]), request)

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""

    async def __aenter__(self) -> Any:
        return self

    async def __aexit__(self, *arguments: Any) -> None:
        """Nothing to close."""
