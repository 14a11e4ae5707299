"""Records as their start has stored them, for the claim where that comes to the same instance: it need not read then.

A claim is a conditional write. Where somebody else has changed the record in the meantime it meets a conflict, and the
record is read after all.
"""

from shared.engine.port import Work
from shared.model.ids import Locator
from shared.model.operation import Operation
from shared.model.timing import Clock

_KEPT = 256
"""Records, each with up to 30 KiB of input."""
_SECONDS = 10.0
"""An engine that has not come by then is likely to come to another instance."""


class RecentStarts:
    """The last starts of this process, each until it is claimed, and a few seconds at most. Used on the event loop."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._kept: dict[Locator, tuple[Operation, float]] = {}

    def keep(self, operation: Operation) -> None:
        """`operation` as just stored, with its input."""
        now = self._clock.monotonic()
        self._kept[operation.locator] = (operation, now)
        while len(self._kept) > _KEPT or self._oldest() < now - _SECONDS:
            del self._kept[next(iter(self._kept))]

    def take(self, work: Work) -> Operation | None:
        """The record of that start, once."""
        operation, kept = self._kept.pop(work.locator, (None, 0.0))
        if operation is None or operation.generation != work.generation:
            return None
        return operation if kept >= self._clock.monotonic() - _SECONDS else None

    def _oldest(self) -> float:
        return next(iter(self._kept.values()))[1]
