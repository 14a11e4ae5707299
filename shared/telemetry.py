"""Traces and metrics by OpenTelemetry's API: nothing is made where the app has set up no SDK.

`function_app.py` sets one up, or the platform does (docs/operations.md). Before that, and without one, every call here
ends at one look at the provider: no span, no instrument, and not even an import.

Source: OpenTelemetry specification, "Tracing API" and "Metrics API"; W3C Trace Context, section 3.2.
"""

import asyncio
import sys
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from enum import Enum
from typing import Any

from shared.errors import ActionCanceled, FenceLost, RequestError, StorageConflict, TransitionError
from shared.frozen import frozen

SCOPE = "lro"
"""The name of the instrumentation, beside each span and metric."""

Attributes = Mapping[str, str | int | float | bool]


class Kind(Enum):
    """Of a span, by the names of OpenTelemetry's `SpanKind`."""

    INTERNAL = "INTERNAL"
    CLIENT = "CLIENT"
    PRODUCER = "PRODUCER"
    CONSUMER = "CONSUMER"


_OFF: AbstractContextManager[None] = nullcontext()


def is_tracing() -> bool:
    """Whether spans go anywhere."""
    return _provider("opentelemetry.trace", "get_tracer_provider") is not None


def is_measuring() -> bool:
    """Whether metrics go anywhere."""
    return _provider("opentelemetry.metrics", "get_meter_provider") is not None


def _provider(api: str, getter: str) -> Any:
    """The provider of an SDK; None where there is the API's own, which does nothing, or where nobody knows the API."""
    module = sys.modules.get(api)
    if module is None:
        return None
    provider = getattr(module, getter)()
    return None if type(provider).__module__.startswith(api) else provider


def span(
    name: str, attributes: Attributes, *, kind: Kind = Kind.INTERNAL, continues: str | None = None
) -> AbstractContextManager[object]:
    """A block as a span, the current one inside.

    `continues` is the `traceparent` that it belongs to, instead of the span that is current; that one is linked. What
    the block raises becomes `error.type`, without its text: that may tell what nobody is to read.
    """
    provider = _provider("opentelemetry.trace", "get_tracer_provider")
    return _OFF if provider is None else _span(provider, name, attributes, kind, continues)


@contextmanager
def _span(provider: Any, name: str, attributes: Attributes, kind: Kind, continues: str | None) -> Generator[None]:
    from opentelemetry import trace  # noqa: PLC0415 - it is there where a provider is

    here = trace.get_current_span().get_span_context()
    context = _remote(continues) if continues else None
    links = [trace.Link(here)] if context is not None and here.is_valid else []
    started = provider.get_tracer(SCOPE).start_as_current_span(
        name,
        context=context,
        kind=trace.SpanKind[kind.value],
        attributes=attributes,
        links=links,
        record_exception=False,
        set_status_on_exception=False,
    )
    with started as current:
        try:
            yield
        except BaseException as error:
            _note_error(current, error)
            raise


def note(attributes: Attributes, *, error_type: str = "") -> None:
    """Add to the current span; with an `error_type` it has failed."""
    if is_tracing():
        from opentelemetry import trace  # noqa: PLC0415

        current = trace.get_current_span()
        current.set_attributes(attributes)
        if error_type:
            _fail(current, error_type)


def _note_error(current: Any, error: BaseException) -> None:
    """A caller's mistake, and a race that was lost, make no failed span ("HTTP spans", Status)."""
    if isinstance(error, asyncio.CancelledError | ActionCanceled):
        return
    is_usual = isinstance(error, StorageConflict | FenceLost | TransitionError)
    is_usual = is_usual or (isinstance(error, RequestError) and error.status < 500)
    _fail(current, getattr(error, "code", None) or type(error).__name__, is_usual=is_usual)


def _fail(current: Any, error_type: str, *, is_usual: bool = False) -> None:
    from opentelemetry.trace import StatusCode  # noqa: PLC0415

    current.set_attribute("error.type", str(error_type))
    if not is_usual:
        current.set_status(StatusCode.ERROR)


def traceparent() -> str:
    """The current span in the words of W3C Trace Context, to be stored and continued later; empty without one."""
    if not is_tracing():
        return ""
    from opentelemetry import trace  # noqa: PLC0415

    here = trace.get_current_span().get_span_context()
    if not here.is_valid:
        return ""
    return f"00-{here.trace_id:032x}-{here.span_id:016x}-{here.trace_flags:02x}"


def continued(header: str | None) -> AbstractContextManager[object]:
    """A block that belongs to the trace of a request's `traceparent`, where the worker has not said so already."""
    return _OFF if not header or not is_tracing() else _continued(header)


@contextmanager
def _continued(header: str) -> Generator[None]:
    from opentelemetry import context, trace  # noqa: PLC0415

    if trace.get_current_span().get_span_context().is_valid:
        yield
        return
    token = context.attach(_remote(header))
    try:
        yield
    finally:
        context.detach(token)


def _remote(header: str) -> Any:
    """The context of a `traceparent`; an empty one where that cannot be read."""
    from opentelemetry.context import Context  # noqa: PLC0415
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

    return TraceContextTextMapPropagator().extract({"traceparent": header}, Context())


@frozen
class Metric:
    """A metric by its name, its unit (UCUM) and a sentence on it."""

    name: str
    unit: str
    description: str


class Counter(Metric):
    """Counts events."""

    def add(self, amount: int, attributes: Attributes) -> None:
        if (made := _instrument(self, lambda meter: meter.create_counter(*_words(self)))) is not None:
            made.add(amount, attributes)


SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14_400, 86_400)
"""The boundaries of histograms, from a no-op to the longest operation."""


class Histogram(Metric):
    """Measures lengths of time."""

    def record(self, seconds: float, attributes: Attributes) -> None:
        if (made := _instrument(self, self._make)) is not None:
            made.record(seconds, attributes)

    def _make(self, meter: Any) -> Any:
        return meter.create_histogram(*_words(self), explicit_bucket_boundaries_advisory=SECONDS)


Values = Iterable[tuple[float, Attributes]]


class Gauge(Metric):
    """Tells a state when it is asked, from a thread of the exporter."""

    def show(self, read: Callable[[], Values]) -> None:
        """From now on it tells what `read` gives."""

        def observe(_: Any) -> Sequence[Any]:
            from opentelemetry.metrics import Observation  # noqa: PLC0415

            return [Observation(value, attributes) for value, attributes in read()]

        _instrument(self, lambda meter: meter.create_observable_gauge(self.name, [observe], *_words(self)[1:]))


def _words(metric: Metric) -> tuple[str, str, str]:
    return metric.name, metric.unit, metric.description


_instruments: dict[str, tuple[Any, Any]] = {}
"""By the name of their metric: the provider that they are of, and they themselves."""


def _instrument(metric: Metric, make: Callable[[Any], Any]) -> Any:
    """The instrument of the provider that is set up; None without one."""
    provider = _provider("opentelemetry.metrics", "get_meter_provider")
    if provider is None:
        return None
    known, instrument = _instruments.get(metric.name, (None, None))
    if known is not provider:
        instrument = make(provider.get_meter(SCOPE))
        _instruments[metric.name] = provider, instrument
    return instrument
