"""A way for the caller to stop waiting, from any thread."""

import threading
from collections.abc import Callable


class CancellationToken:
    """Stops whatever waits with it, at once. Give the same one to as many calls as you like; it is used once.

    Waiting stops; the operation itself goes on, unless the call was told to cancel it as well.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._callbacks: dict[object, Callable[[], None]] = {}
        self._canceled = False

    @property
    def is_canceled(self) -> bool:
        return self._canceled

    def cancel(self) -> None:
        """Stop everything that waits with this token. Once more does nothing."""
        with self._lock:
            self._canceled = True
            callbacks = list(self._callbacks.values())
            self._callbacks.clear()
        for callback in callbacks:
            callback()

    def on_cancel(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` when the token is used, at once if it has been; returns what takes it off again."""
        key = object()
        with self._lock:
            if not self._canceled:
                self._callbacks[key] = callback
                return lambda: self._forget(key)
        callback()
        return lambda: None

    def _forget(self, key: object) -> None:
        with self._lock:
            self._callbacks.pop(key, None)
