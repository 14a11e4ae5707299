"""An OpenTelemetry SDK that appends each span to a file as it ends: what a killed process had ended is there."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult


class FileExporter(SpanExporter):
    """A line of JSON for each span."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        with self._path.open("a", encoding="utf-8") as file:
            file.writelines(f"{each.to_json(indent=None)}\n" for each in spans)
        return SpanExportResult.SUCCESS


def export_spans_to(path: Path) -> None:
    """Set the SDK up for this process, as an app does in its `function_app.py`."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(FileExporter(path)))
    trace.set_tracer_provider(provider)


def spans_in(path: Path) -> list[dict[str, Any]]:
    """All that was exported to the file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
