"""Within which bounds an OData request is served, and on whose behalf: the same for all requests of a batch."""

from collections.abc import Callable

from shared.actions.context import RequestContext
from shared.engine.port import Engine
from shared.errors import RequestError
from shared.frozen import frozen


@frozen(kw_only=True)
class Execution:
    """Taken from the outermost request: a request inside a batch has none of its own."""

    context: RequestContext
    """Of the app's code that serves it: entity sources, functions, preconditions."""
    engine: Engine | None
    """What starts asynchronous requests; None where none can be started, as inside an activity."""
    until: float
    """`Clock.monotonic()` by which a synchronous answer has to be there."""
    longest: float
    """Seconds: an action declared to take longer is not run synchronously."""
    run_id: str = ""
    """Names the work, where it may be done twice: the id of a synchronous action, the marker of a write."""
    is_canceled: Callable[[], bool] = lambda: False

    @property
    def owner(self) -> str:
        return self.context.owner

    @property
    def base(self) -> str:
        return self.context.base_url

    @property
    def seconds_left(self) -> float:
        return max(0.0, self.until - self.context.clock.monotonic())


def too_long(seconds: float) -> RequestError:
    """501 without Retry-After: clients re-send an answer of 503, and would start the work again."""
    message = f"This may take longer than the {seconds:g} s a request has here; send it with Prefer: respond-async."
    return RequestError(501, "AsynchronousProcessingRequired", message, target="Prefer")
