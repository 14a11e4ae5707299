"""Actions that are paused: nothing of them is started or claimed, while polls, cancels and deadlines go on.

One row says which. A process looks at it at most every five seconds, and not for a request: a start goes by what is
known, and has the row looked at beside it. A claim waits for a look that is due, which all claims of that moment share.
"""

import asyncio
import json
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from shared.errors import RequestError, StorageConflict, StorageError
from shared.frozen import frozen
from shared.model.times import read_time, write_time
from shared.model.timing import Clock, Timing
from shared.storage.contention import backoff
from shared.storage.ports import Insert, Replace, Row, Scalar, Storage
from shared.storage.writes import write_once

EVERYTHING = "*"
"""In place of an action's name: all of them."""
BY_SETTING = "PAUSED_ACTIONS"

_PARTITION, _KEY = "app", "pauses"
_TRIES = 4


@frozen
class Pause:
    """Of one action, or of everything. `by` is who has paused it; `since` is None where a setting says it."""

    action: str
    by: str
    since: datetime | None = None


class Pauses:
    """What is paused in one store, as this process knows it."""

    def __init__(self, storage: Storage, always: Collection[str], *, clock: Clock, timing: Timing) -> None:
        """`always` are paused by a setting, whatever the row says."""
        self._table = storage.table("operations")
        self._always = {name: Pause(name, BY_SETTING) for name in always}
        self._clock = clock
        self._timing = timing
        self._known: Mapping[str, Pause] = {}
        self._look_due = 0.0
        """When what is known is to be looked at again (`Clock.monotonic()`)."""
        self._looking: asyncio.Task[None] | None = None

    def check_start(self, action: str) -> None:
        """Raise RequestError 503 ActionPaused for a start; costs no storage request that anybody waits for."""
        self._look_if_due()
        if self._is_paused(action):
            seconds = str(int(self._timing.pause_wait.total_seconds()))
            message = f"{action} is paused: it starts nothing for now; try again later."
            raise RequestError(503, "ActionPaused", message, headers={"Retry-After": seconds})

    async def holds(self, action: str) -> timedelta | None:
        """For a claim: when to come back; None where the action is not paused."""
        await self._up_to_date()
        return self._timing.pause_wait if self._is_paused(action) else None

    async def current(self) -> tuple[Pause, ...]:
        """All there are, by name."""
        await self._up_to_date()
        return tuple(sorted({**self._known, **self._always}.values(), key=lambda each: each.action))

    async def pause(self, action: str, *, by: str) -> None:
        """Pause it from now on; one that is paused stays as it is. Raises StorageError."""

        def add(found: dict[str, Pause]) -> dict[str, Pause]:
            return {action: Pause(action, by, self._clock.now())} | found

        await self._change(add)

    async def resume(self, action: str) -> None:
        """Let it go on, where no setting pauses it. Raises StorageError."""

        def remove(found: dict[str, Pause]) -> dict[str, Pause]:
            return {name: pause for name, pause in found.items() if name != action}

        await self._change(remove)

    def close(self) -> None:
        """Look no more."""
        if self._looking is not None:
            self._looking.cancel()

    def _is_paused(self, action: str) -> bool:
        return any(name in pauses for pauses in (self._always, self._known) for name in (EVERYTHING, action))

    async def _up_to_date(self) -> None:
        self._look_if_due()
        if self._looking is not None:
            await asyncio.shield(self._looking)

    def _look_if_due(self) -> None:
        if self._looking is not None and not self._looking.done():
            return
        self._looking = None
        if self._clock.monotonic() >= self._look_due:
            self._look_due = self._clock.monotonic() + self._timing.pause_look
            self._looking = asyncio.create_task(self._look(), name="pauses")

    async def _look(self) -> None:
        """Where the store does not answer in time, what was known holds."""
        with suppress(StorageError, TimeoutError):
            async with self._clock.timeout(self._timing.health_within):
                self._known = _read(await self._table.read(_PARTITION, _KEY))

    async def _change(self, change: Callable[[dict[str, Pause]], dict[str, Pause]]) -> None:
        for tried in range(_TRIES):
            await backoff(tried, sleep=self._clock.sleep)
            row = await self._table.read(_PARTITION, _KEY)
            changed = change(_read(row))
            values: dict[str, Scalar] = {"paused": json.dumps([_values(each) for each in changed.values()])}
            written = Insert(_KEY, values) if row is None else Replace(_KEY, values, row.etag)
            try:
                await write_once(self._table, _PARTITION, [written], sleep=self._clock.sleep)
            except StorageConflict:
                continue
            self._known = changed
            return
        raise StorageConflict("what is paused kept changing")


def _values(pause: Pause) -> dict[str, Any]:
    return {**asdict(pause), "since": write_time(pause.since) if pause.since else ""}


def _read(row: Row | None) -> dict[str, Pause]:
    found = json.loads(str(row.values.get("paused") or "[]")) if row is not None else []
    return {
        each["action"]: Pause(each["action"], each["by"], read_time(each["since"]) if each["since"] else None)
        for each in found
    }
