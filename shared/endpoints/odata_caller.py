"""On whose behalf an OData request is served, and within which bounds: the same for all requests of a batch."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from shared.engine.port import Engine
from shared.errors import RequestError


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Taken from the outermost request: what a request inside a batch says of it does not count."""

    owner: str
    base: str
    """Public URL of the app, without a slash at its end."""
    engine: Engine | None
    """What starts asynchronous requests; None where none can be started, as inside an activity."""
    until: float
    """`time.monotonic()` by which a synchronous answer has to be there."""
    longest: float
    """Seconds: an action declared to take longer is not run synchronously."""
    run: str = ""
    """Names what is done, where it may be done twice: the id of a synchronous action, the marker of a write."""
    is_canceled: Callable[[], bool] = lambda: False

    @property
    def seconds_left(self) -> float:
        return max(0.0, self.until - time.monotonic())


def too_long(seconds: float) -> RequestError:
    """501 without Retry-After: clients re-send what is answered 503, and would start it again."""
    message = f"This may take longer than the {seconds:g} s a request has here; send it with Prefer: respond-async."
    return RequestError(501, "AsynchronousProcessingRequired", message, target="Prefer")
