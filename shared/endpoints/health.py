"""Whether the app can do its work: asked by platforms and load balancers, without a key, as often as they like.

The body names the kind of trouble only; what is behind it is in the log, since anybody may ask.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from shared.contracts.http import Request, Response, json_response
from shared.endpoints.boundary import STORAGE_RETRY_AFTER
from shared.errors import NamespaceTaken, SettingsError, StorageError
from shared.model.timing import Clock, Timing
from shared.operations.pauses import Pause

_log = logging.getLogger(__name__)

Check = Callable[[], Awaitable[object]]
"""Raises StorageError, SettingsError or any other error where the app cannot do its work."""


class Health:
    """The answers of some checks, kept for some seconds and bounded in time, however many ask."""

    def __init__(
        self,
        checks: Sequence[Check],
        pauses: Callable[[], Awaitable[Sequence[Pause]]],
        *,
        clock: Clock,
        timing: Timing,
    ) -> None:
        self._checks = checks
        self._pauses = pauses
        self._clock = clock
        self._timing = timing
        self._troubles: asyncio.Task[tuple[str, ...]] | None = None
        self._good_until = 0.0
        self._before: tuple[str, ...] = ()

    async def answer(self, request: Request) -> Response:
        """200 Healthy with the actions that are paused, or 503 Unhealthy with the codes of what is wrong."""
        if self._troubles is None or (self._troubles.done() and self._clock.monotonic() >= self._good_until):
            self._troubles = asyncio.create_task(self._look())
        # Who goes away must not take the answer from those who wait for the same one.
        troubles = await asyncio.shield(self._troubles)
        if not troubles:
            paused = [each.action for each in await self._pauses()]
            return json_response(200, {"status": "Healthy"} | ({"paused": paused} if paused else {}))
        headers = {"Retry-After": STORAGE_RETRY_AFTER}
        return json_response(503, {"status": "Unhealthy", "problems": list(troubles)}, headers=headers)

    async def _look(self) -> tuple[str, ...]:
        found = await asyncio.gather(*(self._trouble(check) for check in self._checks))
        troubles = tuple(sorted({code for code, _ in filter(None, found)}))
        if troubles != self._before:
            texts = "; ".join(f"{code}: {text}" for code, text in filter(None, found))
            level = logging.ERROR if troubles else logging.INFO
            _log.log(level, "Health: %s", texts or "healthy again", extra={"event": "health_changed"})
        self._before = troubles
        self._good_until = self._clock.monotonic() + self._timing.health_kept
        return troubles

    async def _trouble(self, check: Check) -> tuple[str, str] | None:
        within = self._timing.health_within
        try:
            async with self._clock.timeout(within):
                await check()
        except TimeoutError:
            return "StorageUnavailable", f"there was no answer within {within:g} s"
        except StorageError as error:
            return "StorageUnavailable", str(error)
        except NamespaceTaken as error:
            return "NamespaceTaken", str(error)
        except SettingsError as error:
            return "InvalidConfiguration", str(error)
        except Exception as error:
            _log.exception("A check of the app's health failed", extra={"event": "health_failed"})
            return "InternalError", str(error)
        return None
