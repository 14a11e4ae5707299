"""How long actions take, as this process has seen: what tells when a first poll is worth sending."""

_NAMES = 1000
_WEIGHT = 0.2


class Durations:
    """A moving average by action, of operations that succeeded in this process. Used on the event loop."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    def note(self, action: str, seconds: float) -> None:
        """One more operation of `action` took `seconds` from its creation to its end."""
        before = self._seconds.pop(action, seconds)
        if len(self._seconds) >= _NAMES:
            del self._seconds[next(iter(self._seconds))]
        self._seconds[action] = before + _WEIGHT * (seconds - before)

    def expected(self, action: str) -> float | None:
        """Seconds; None for an action that has not ended here yet."""
        return self._seconds.get(action)
