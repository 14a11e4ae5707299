"""The checkpoints of one claim: the last one as the handler sees it, and those on their way to the store.

    replace(snapshot)   from the handler; the latest one wins
    advance()           by the heartbeat, when `due` says so: inline, or as a blob that is written beside the heartbeat
    ready               goes with the next write of the record; `written` says that it did

A blob has one of two names of its claim, never the one that the record has: what is overtaken overwrites nothing.
"""

import asyncio
import logging
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from shared.errors import ActionCanceled, StorageError
from shared.model.operation import Operation, Payload
from shared.model.timing import Clock, Timing
from shared.operations.log_lines import about
from shared.operations.records import OperationRecords
from shared.operations.snapshots import Snapshot

_log = logging.getLogger(__name__)

_NAME = re.compile(r".*/saved-(\d+)-[01]")


class Checkpoints:
    """Used on the loop of its attempt."""

    def __init__(
        self,
        records: OperationRecords,
        claimed: Operation,
        *,
        clock: Clock,
        timing: Timing,
        wake: Callable[[], object],
    ) -> None:
        """`claimed` is the record with the claim; `wake` has the heartbeat look again when something is due."""
        self._records = records
        self._operation = claimed
        self._clock = clock
        self._timing = timing
        self._wake = wake
        self.value: Any = None
        """The last one as its handler gets it."""
        self._stored = claimed.saved
        """What the record has."""
        self.ready: Payload | None = None
        """What the next write of the record is to name."""
        self._latest: tuple[Snapshot, int] | None = None
        """What is not yet ready, and its number."""
        self._since = 0.0
        """When the first came that is not yet ready."""
        self._number = self._ready_number = self._stored_number = 0
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._upload: asyncio.Task[None] | None = None
        self._failed = False
        self._tidying: asyncio.Task[None] | None = None
        self._is_closed = False

    def replace(self, snapshot: Snapshot) -> None:
        """The latest one. Raises ActionCanceled where the attempt is over."""
        self.check_open()
        if self._latest is None:
            self._since = self._clock.monotonic()
        self._number += 1
        self._latest = (snapshot, self._number)
        self.value = snapshot.value
        self._wake()

    async def flush(self) -> None:
        """Come back when the latest one is in the record. Raises ActionCanceled where it will never be."""
        self.check_open()
        if self._stored_number < self._number:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append((self._number, waiter))
            self._wake()
            await waiter

    def check_open(self) -> None:
        """Raise ActionCanceled for a handler that outlives its attempt."""
        if self._is_closed:
            raise ActionCanceled(f"the attempt at operation {self._operation.id} is over: it stores nothing more")

    def due(self, written: float) -> float | None:
        """When the heartbeat has something to do here, by the monotonic clock; None for never.

        `written` is when it has written last.
        """
        soon = written + self._timing.checkpoint_interval
        is_urgent = bool(self._waiters) and not self._failed
        if self.ready is not None:
            return written if is_urgent else soon
        if self._latest is None or self._upload is not None:
            return None
        if len(self._latest[0].content) <= self._timing.small_checkpoint:
            return written if is_urgent else soon
        if self._waiters:
            return written if is_urgent else soon
        return (written if self._failed else self._since) + self._timing.large_checkpoint_interval

    def advance(self) -> None:
        """Have the latest one become ready: at once, or once its blob is written."""
        if self._latest is None or self._upload is not None:
            return
        if self.ready is not None and self.ready.blob is not None:
            return  # The other name is the record's: first the record has to name this one.
        is_large = len(self._latest[0].content) > self._timing.small_checkpoint
        due = self._since + self._timing.large_checkpoint_interval
        if is_large and not self._waiters and self._clock.monotonic() < due:
            return
        snapshot, number = self._taken()
        if (inline := self._at_once(snapshot)) is not None:
            self._set_ready(inline, number)
        else:
            self._upload = asyncio.create_task(self._uploaded(snapshot, number), name="checkpoint")

    async def finish(self) -> Payload | None:
        """The last one, for the write that ends the slice; None where the record has it. Raises StorageError."""
        if self._upload is not None:
            await asyncio.wait({self._upload})
        if self._latest is not None:
            snapshot, number = self._latest
            payload = self._at_once(snapshot) or await self._put(snapshot)
            self._latest = None
            self._set_ready(payload, number)
        return self.ready

    def written(self, payload: Payload | None) -> None:
        """The record names `payload`, which was `ready`."""
        self._failed = False
        if payload is None:
            return
        before, self._stored = self._stored, payload
        if self.ready is payload:
            self.ready = None
            self._stored_number = self._ready_number
            self._release()
        if before is not None and before.blob is not None and self._fence_of(before.blob) < self._operation.fence:
            self._tidying = asyncio.create_task(self._tidy(), name="older checkpoints")

    def failed(self) -> None:
        """A write did not reach the store: those that wait for it do not hurry the next one."""
        self._failed = True

    def close(self) -> None:
        """Nothing is taken any more, and who waits for the store is told so."""
        self._is_closed = True
        for _, waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(ActionCanceled("the attempt is over, and the checkpoint was not stored"))
        self._waiters.clear()

    def abandon(self) -> None:
        """The record is another claim's: nothing more is written here."""
        if self._upload is not None:
            self._upload.cancel()

    async def tidied(self) -> None:
        """Come back once the blobs of older claims are gone, as far as the store lets them."""
        if self._tidying is not None:
            await asyncio.wait({self._tidying})

    def _taken(self) -> tuple[Snapshot, int]:
        assert self._latest is not None, "looked at before"
        taken, self._latest = self._latest, None
        return taken

    def _at_once(self, snapshot: Snapshot) -> Payload | None:
        """The payload where no blob has to be written: it is small, or the record has the same content."""
        if self.ready is None and self._stored is not None and self._stored.sha256 == snapshot.sha256:
            return self._stored
        return self._records.inline(snapshot.content, snapshot.sha256)

    def _set_ready(self, payload: Payload, number: int) -> None:
        self._ready_number = number
        self.ready = payload
        if payload is self._stored:
            self.ready, self._stored_number = None, number
            self._release()

    def _release(self) -> None:
        for number, waiter in self._waiters:
            if number <= self._stored_number and not waiter.done():
                waiter.set_result(None)
        self._waiters = [each for each in self._waiters if each[0] > self._stored_number]

    async def _uploaded(self, snapshot: Snapshot, number: int) -> None:
        try:
            self._set_ready(await self._put(snapshot), number)
        except StorageError as error:
            line = about(_log, self._operation, "checkpoint_failed")
            line.warning("A checkpoint did not reach the store: %s", error)
            self._failed = True
            if self._latest is None:
                self._latest, self._since = (snapshot, number), self._clock.monotonic()
        finally:
            self._upload = None
            self._wake()

    async def _put(self, snapshot: Snapshot) -> Payload:
        """As a blob of this claim that neither the record names nor a write that may have been done."""
        names = [f"{self._operation.run_id}/saved-{self._operation.fence}-{turn}" for turn in (0, 1)]
        if self._failed:
            # A write whose answer is missing may have been done.
            found = await self._records.read(self._operation.locator)
            if found is not None and found.fence == self._operation.fence:
                self._stored = found.saved
        named = self._stored.blob if self._stored else None
        name = names[1] if named == names[0] else names[0]
        return await self._records.store_checkpoint(name, snapshot.content, snapshot.sha256)

    async def _tidy(self) -> None:
        """Remove the blobs of older claims: the record names none of them any more."""
        prefix = f"{self._operation.run_id}/saved-"
        with suppress(StorageError):
            for name in await self._records.blobs(prefix):
                if self._fence_of(name) < self._operation.fence:
                    await self._records.drop_blob(name)

    def _fence_of(self, name: str) -> int:
        found = _NAME.fullmatch(name)
        return int(found[1]) if found else self._operation.fence
