"""Which site has a namespace: a row of its table of operations, which the passes of that site's housekeeping renew.

Two sites on one namespace would start each other's operations again: each asks its own task hub what lives, and that
one knows nothing of the other's. So one of them has it, and the other's housekeeping does nothing.
"""

import logging
from datetime import datetime, timedelta
from enum import Enum
from typing import NamedTuple

from shared.errors import NamespaceTaken, StorageConflict
from shared.model.times import read_time, write_time
from shared.model.timing import Clock, Timing
from shared.operations.verdict_clock import VerdictClock
from shared.storage.ports import Insert, Replace, Row, Storage
from shared.storage.writes import write_once

_PARTITION = "app"
_KEY = "site"
_ADVICE = "give each app and slot a task hub (TASK_HUB_NAME, a slot setting) and an OPERATIONS_NAMESPACE of its own"

_log = logging.getLogger(__name__)


class SiteName(NamedTuple):
    """What the platform calls an app and its slot, and the task hub that its orchestrations are in."""

    site: str
    slot: str
    hub: str

    def __str__(self) -> str:
        return f"site {self.site!r}, slot {self.slot!r}, task hub {self.hub!r}"

    def same_as(self, other: "SiteName") -> bool:
        """Case does not count, neither for the platform nor for the storage of a task hub."""
        return str(self).lower() == str(other).lower()


class Standing(Enum):
    """What a site finds."""

    FREE = "free"
    """Nobody has the namespace."""
    OURS = "ours"
    DUE = "due"
    """It is ours, and to be renewed."""
    TAKEN = "taken"
    LEFT = "left"
    """Another site had it and has not renewed: it may be taken over."""


def standing(own: SiteName, found: SiteName | None, renewed: datetime, now: datetime, timing: Timing) -> Standing:
    """Whether `own` has the namespace that `found` last renewed. Pure."""
    if found is None:
        return Standing.FREE
    if found.same_as(own):
        # One of later than now was written before the clock was set back: others would believe it for too long.
        return Standing.OURS if abs(now - renewed) < timing.site_renewal else Standing.DUE
    return Standing.LEFT if now >= renewed + timing.site_expiry else Standing.TAKEN


class Site:
    """This site, on its namespace. It looks at the row at most once in `Timing.site_renewal` while nothing is due.

    The embedded store has no such row: its folder belongs to one process, and who comes later takes over at once.
    """

    def __init__(self, storage: Storage, namespace: str, name: SiteName, *, clock: Clock, timing: Timing) -> None:
        self._table = storage.table("operations")
        self._is_shared = storage.exclusive_since is None
        self._namespace = namespace
        self._name = name
        self._clock = clock
        self._timing = timing
        self._verdict_clock = VerdictClock(clock, timing=timing, patience=2 * timing.site_renewal)
        self._conflict: str | None = None
        self._settled_until = 0.0
        """When to look again (`Clock.monotonic()`)."""

    async def conflict(self) -> str | None:
        """Which other site has the namespace, in a sentence that is logged as well; None else. Raises StorageError."""
        if not self._is_settled():
            await self._look()
        return self._conflict

    async def check(self) -> None:
        """Raises NamespaceTaken where another site has the namespace, StorageError."""
        if conflict := await self.conflict():
            raise NamespaceTaken(conflict)

    async def hold(self) -> bool:
        """For a pass of housekeeping: whether the namespace is this site's, taken or renewed now if need be.

        Raises StorageError.
        """
        if not self._is_settled():
            found, row = await self._look()
            if found in (Standing.FREE, Standing.DUE, Standing.LEFT):
                return await self._take(row)
        return self._conflict is None

    def _is_settled(self) -> bool:
        if not self._is_shared:
            return True
        return self._clock.monotonic() < self._settled_until

    def _settle_for(self, length: timedelta) -> None:
        """`length` is of the wall clock, which may have been set back: at most as long as a site may stay unseen."""
        seconds = min(length, self._timing.site_renewal).total_seconds()
        self._settled_until = self._clock.monotonic() + seconds

    async def _look(self) -> tuple[Standing, Row | None]:
        now = self._verdict_clock.now()
        row = await self._table.read(_PARTITION, _KEY)
        holder, renewed = _read(row) if row is not None else (None, now)
        found = standing(self._name, holder, renewed, now, self._timing)
        self._conflict = None
        if found is Standing.OURS:
            self._settle_for(renewed + self._timing.site_renewal - now)
        if found is Standing.TAKEN:
            self._settle_for(renewed + self._timing.site_expiry - now)
            self._conflict = (
                f"the namespace {self._namespace!r} is that of {holder}, at work at {write_time(renewed)}, "
                f"so housekeeping does nothing at {self._name}: {_ADVICE}"
            )
            _log.error("Namespace taken: %s", self._conflict, extra={"event": "namespace_taken"})
        return found, row

    async def _take(self, row: Row | None) -> bool:
        now = self._clock.now()
        values = {**self._name._asdict(), "renewed": write_time(now)}
        change = Insert(_KEY, values) if row is None else Replace(_KEY, values, row.etag)
        try:
            await write_once(self._table, _PARTITION, [change])
        except StorageConflict:
            return False  # Somebody else was faster: the next pass looks who.
        self._settle_for(self._timing.site_renewal)
        if row is not None and not (before := _read(row))[0].same_as(self._name):
            _log.warning(
                "Took the namespace %r over from %s, not seen since %s: this is %s",
                *(self._namespace, before[0], write_time(before[1]), self._name),
                extra={"event": "namespace_taken_over"},
            )
        return True


def _read(row: Row) -> tuple[SiteName, datetime]:
    site, slot, hub, renewed = (str(row.values[name]) for name in (*SiteName._fields, "renewed"))
    return SiteName(site, slot, hub), read_time(renewed)
