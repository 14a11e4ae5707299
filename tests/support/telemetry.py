"""An OpenTelemetry SDK in memory, for the time of a test."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.metrics import _internal as metrics_api
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


@dataclass
class Recorded:
    """What an app under test has exported."""

    spans_seen: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)
    reader: InMemoryMetricReader = field(default_factory=InMemoryMetricReader)

    def spans(self, name: str = "") -> list[ReadableSpan]:
        """Spans that have ended, in the order of their ends; those of one name."""
        return [each for each in self.spans_seen.get_finished_spans() if name in ("", each.name)]

    def span(self, name: str) -> ReadableSpan:
        (found,) = self.spans(name)
        return found

    def metrics(self) -> dict[str, dict[tuple[str, ...], float]]:
        """By name and by the values of attributes, sorted by their names: sums, values, or how often a length came."""
        found: dict[str, dict[tuple[str, ...], float]] = {}
        data = self.reader.get_metrics_data()
        for resource in data.resource_metrics if data else ():
            for metric in (each for scope in resource.scope_metrics for each in scope.metrics):
                found[metric.name] = {_words(point): _value(point) for point in metric.data.data_points}
        return found


def _words(point: Any) -> tuple[str, ...]:
    return tuple(str(value) for _, value in sorted(point.attributes.items()))


def _value(point: Any) -> float:
    return point.count if hasattr(point, "bucket_counts") else point.value


@contextmanager
def recording(monkeypatch: pytest.MonkeyPatch) -> Generator[Recorded]:
    """The process's providers are an SDK's until the block ends; the API sets them for ever."""
    recorded = Recorded()
    tracers = TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(recorded.spans_seen))
    meters = MeterProvider([recorded.reader])
    with monkeypatch.context() as patch:
        patch.setattr(trace, "_TRACER_PROVIDER", tracers)
        patch.setattr(metrics_api, "_METER_PROVIDER", meters)
        yield recorded
    meters.shutdown()
    tracers.shutdown()


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Generator[Recorded]:
    with recording(monkeypatch) as found:
        yield found
