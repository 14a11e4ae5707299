"""One operation on its way to its end: what is known of it, and the steps that find out more."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from lro_client.cancelling import after_cancel, cancel_request
from lro_client.errors import LroError, ServiceUnreachable, StoppedWaiting, WaitCanceled
from lro_client.exchange import DeadlinePassed, Settings, addressed, exchange, pause
from lro_client.messages import Answer, Headers, Request
from lro_client.model import Reading, Snapshot, Track, snapshot_of
from lro_client.pacing import SHORTEST, retry_after
from lro_client.polling import read
from lro_client.steps import Interrupted, Steps
from lro_client.urls import without_query

T = TypeVar("T")

CANCEL_SECONDS = 10.0
"""How long a cancel may take that is asked for while waiting is given up."""

LEAST_CANCEL_SECONDS = 2.0
"""How long it may take even where the wait's own time is up before."""


class Tracker:
    """The state of one operation. Its methods are steps. Several may run at once on an event loop: an answer is read as
    it was asked for, and counts only if no other has moved the operation on meanwhile.

    `home` is the URL whose origin may see credentials. `answer` is the first one, None where there was none yet.
    """

    def __init__(self, reading: Reading, answer: Answer | None, settings: Settings, home: str) -> None:
        self.reading = reading
        self.settings = settings
        self.home = home
        first = answer or Answer("GET", reading.track.poll_url, 0, Headers())
        self.snapshot = snapshot_of(reading, first)
        self._polls = 0
        self._has_been_seen = answer is None
        self._asked = retry_after(first.headers, settings.today())
        self._last = settings.clock()

    @property
    def track(self) -> Track:
        return self.reading.track

    @property
    def has_ended(self) -> bool:
        return self.reading.has_ended

    def deadline(self, timeout: float | None) -> float | None:
        return None if timeout is None else self.settings.clock() + timeout

    def update(self, deadline: float | None) -> Steps[Snapshot]:
        """Look now: one poll, and the result with it once the operation has succeeded."""
        if not self.has_ended:
            yield from self._named(self._look(deadline))
        return self.snapshot

    def advance(self, deadline: float | None, interval: float | None) -> Steps[Snapshot]:
        """Look as soon as it is time to: when the server says so, and `interval` after the last look at the least."""
        if not self.has_ended:
            wait = self._due(interval) - self.settings.clock()
            if wait > 0:
                yield from pause(wait, self.settings, deadline)
            yield from self.update(deadline)
        return self.snapshot

    def watch(
        self,
        deadline: float | None,
        interval: float | None,
        on_progress: Callable[[Snapshot], None] | None,
        cancel_too: bool,
    ) -> Steps[None]:
        """Wait for the end.

        Raises:
            StoppedWaiting: the deadline passed.
            WaitCanceled: the caller's token was used; with `cancel_too` the operation is asked to stop first.
        """
        while not self.has_ended:
            snapshot = yield from self.guarded(self.advance(deadline, interval), cancel_too, deadline)
            if on_progress is not None:
                on_progress(snapshot)

    def guarded(self, steps: Steps[T], cancel_too: bool = False, deadline: float | None = None) -> Steps[T]:
        """The steps, whose end of patience is told as what it is."""
        try:
            return (yield from steps)
        except DeadlinePassed as passed:
            raise self.stopped(passed) from None
        except Interrupted:
            told = WaitCanceled("Nobody waits any longer; the operation goes on.", monitor_url=self.track.monitor_url)
            if cancel_too:
                try:
                    yield from self.cancel(self._last_moment(deadline))
                except (LroError, DeadlinePassed, Interrupted) as error:
                    told.add_note(f"It could not be canceled: {error}")
                else:
                    told = WaitCanceled(
                        "Nobody waits any longer; the operation was asked to stop.", monitor_url=self.track.monitor_url
                    )
            raise told from None

    def stopped(self, passed: DeadlinePassed) -> StoppedWaiting | ServiceUnreachable:
        """What to raise when the time is up. Nobody knows that an operation goes on that was never seen."""
        seen = self.snapshot.answer if self.snapshot.answer.status_code else None
        if seen is None and passed.told:
            return ServiceUnreachable(
                f"No answer from {without_query(self.track.poll_url)} in time: {passed.told}.",
                monitor_url=self.track.monitor_url,
                answer=passed.answer,
            )
        word = self.snapshot.word or self.snapshot.status.value
        failed = f" The last try failed: {passed.told}." if passed.told else ""
        return StoppedWaiting(
            f"Stopped waiting; the operation goes on. Its last status was {word!r}.{failed}",
            monitor_url=self.track.monitor_url,
            answer=seen,
        )

    def cancel(self, deadline: float | None, url: str | None = None) -> Steps[Snapshot]:
        """Ask for the end of the operation. What has ended stays as it is."""
        if self.has_ended:
            return self.snapshot
        request = addressed(cancel_request(self.track, url), self.home, self.settings)
        answer = yield from self._named(exchange(self._marked(request), self.settings, deadline=deadline))
        if not self.has_ended and not self.reading.is_result_due:
            self._take(after_cancel(self.reading, answer), answer)
        if self.reading.is_result_due:
            yield from self._named(self._look(deadline))
        return self.snapshot

    def forget(self, deadline: float | None) -> Steps[Answer]:
        """Ask the service to delete its record of the operation (data plane: DELETE of the monitor)."""
        request = Request("DELETE", self.track.monitor_url or self.track.poll_url)
        request = addressed(request, self.home, self.settings)
        return (yield from self._named(exchange(self._marked(request), self.settings, deadline=deadline)))

    def _look(self, deadline: float | None) -> Steps[None]:
        yield from self._see(deadline)
        if self.reading.is_result_due:
            yield from self._see(deadline)

    def _see(self, deadline: float | None) -> Steps[None]:
        track = self.track
        try:
            answer = yield from self._ask(track, deadline)
        except (LroError, DeadlinePassed):
            if self.has_ended:
                return
            raise
        if not self.has_ended and self.track == track:
            self._take(read(track, answer), answer)

    def _ask(self, track: Track, deadline: float | None) -> Steps[Answer]:
        request = addressed(Request("GET", track.poll_url), self.home, self.settings)
        tries = 0
        while True:
            answer = yield from exchange(self._marked(request), self.settings, deadline=deadline)
            tries += 1
            if answer.status_code != 404 or not self._may_lag() or tries >= self.settings.retries.attempts:
                self._has_been_seen = self._has_been_seen or answer.status_code < 400
                return answer
            yield from pause(
                self.settings.retries.delay(tries, self.settings.chance),
                self.settings,
                deadline,
                DeadlinePassed(answer),
            )

    def _may_lag(self) -> bool:
        """A store that is behind answers 404 to the first look at what it has just accepted."""
        is_end = self.track.method == "DELETE" or self.track.cancel_asked
        return not self._has_been_seen and not is_end

    def _take(self, reading: Reading, answer: Answer) -> None:
        self.reading = reading
        self.snapshot = snapshot_of(reading, answer)
        self._polls += 1
        self._asked = retry_after(answer.headers, self.settings.today())
        self._last = self.settings.clock()

    def _due(self, interval: float | None) -> float:
        """When to look next. The first look waits only where the service says so."""
        asked = self._asked or 0.0
        if not self._polls:
            return self._last + asked
        if interval is not None:
            return self._last + max(asked, interval)
        own = self.settings.pace.delay(self._polls - 1, self.settings.chance) if self._asked is None else SHORTEST
        return self._last + max(asked, own)

    def _last_moment(self, deadline: float | None) -> float:
        """When a cancel that ends a wait is given up."""
        now = self.settings.clock()
        latest = now + CANCEL_SECONDS
        return latest if deadline is None else min(latest, max(deadline, now + LEAST_CANCEL_SECONDS))

    def _marked(self, request: Request) -> Request:
        """One `x-ms-client-request-id` for the whole operation, so that its requests are found together."""
        if self.track.request_id is None or not request.trusted:
            return request
        return replace(request, headers=request.headers.merged({"x-ms-client-request-id": self.track.request_id}))

    def _named(self, steps: Steps[T]) -> Steps[T]:
        try:
            return (yield from steps)
        except LroError as error:
            error.monitor_url = error.monitor_url or self.track.monitor_url
            raise
