"""Tracing through azure-core: each request is a span, and tells the service which."""

from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

import pytest
from azure.core.settings import settings

from tests.client.scripted import MONITOR
from tests.client.test_credentials import leading_to, service
from tests.client.twins import Twins

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Span:
    """As much of a tracer as azure-core's policy asks for."""

    made: list["Span"] = []  # noqa: RUF012 - azure-core makes the spans itself, so that the class keeps them

    def __init__(self, span: Any = None, name: str = "", **options: Any) -> None:
        self.name = name
        self.kind: Any = None
        self.status: int | None = None
        self.has_ended = False
        Span.made.append(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.has_ended = True

    def start(self) -> None:
        """It is under way once it is made."""

    def finish(self) -> None:
        self.has_ended = True

    def to_header(self) -> dict[str, str]:
        return {"traceparent": PARENT}

    def add_attribute(self, key: str, value: Any) -> None:
        """Not kept."""

    def set_http_attributes(self, request: Any, response: Any = None) -> None:
        self.status = getattr(response, "status_code", None)

    @property
    def span_instance(self) -> Any:
        return self

    @classmethod
    def get_current_span(cls) -> Any:
        return None

    @classmethod
    def change_context(cls, span: Any) -> Any:
        from contextlib import nullcontext

        return nullcontext()


@pytest.fixture(autouse=True)
def _traced() -> Iterator[None]:
    settings.tracing_implementation.set_value(Span)
    yield
    settings.tracing_implementation.unset_value()


def test_each_request_is_a_span(twins: Twins) -> None:
    """Start and polls are spans with their status, and carry the header that continues the trace at the service."""
    Span.made.clear()
    client, seen = service(twins, leading_to(MONITOR))
    assert client.run("POST", "start") == 1
    assert [sent.headers.get("traceparent") for sent in seen] == [PARENT] * 2
    assert [(span.status, span.has_ended) for span in Span.made] == [(202, True), (200, True)]


def test_elsewhere_the_trace_goes_on_without_the_key(twins: Twins) -> None:
    """A monitor at another origin is traced too; a trace's id is no credential."""
    client, seen = service(twins, leading_to("https://elsewhere.example/1"))
    client.run("POST", "start")
    assert seen[1].headers.get("traceparent") == PARENT
