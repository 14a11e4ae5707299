"""One operation on its way to its end: what is known of it, and the steps that find out more."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypedDict, TypeVar

from lro_client.canceling import after_cancel, cancel_request
from lro_client.errors import LroError, ServiceUnreachable, StoppedWaiting, WaitCanceled
from lro_client.exchange import DeadlinePassed, Settings, addressed, exchange, pause
from lro_client.messages import Answer, Headers, Request
from lro_client.model import Reading, Snapshot, Track, snapshot_of
from lro_client.pacing import SHORTEST, retry_after
from lro_client.polling import read
from lro_client.steps import Interrupted, Steps

T = TypeVar("T")

CANCEL_SECONDS = 10.0
"""How long a cancel may take that is asked for while waiting is given up."""

LEAST_CANCEL_SECONDS = 2.0
"""How long it may take even where the wait's own time is up before."""


class WatchOptions(TypedDict, total=False):
    """What happens while an operation is waited for.

    `on_progress`: called with every look. `cancel_operation`: whoever stops the wait, by the token or by canceling the
    task, asks for the end of the operation as well; asking may take what is left of the time-out, but two seconds at
    least and ten at most.
    """

    on_progress: Callable[[Snapshot], None] | None
    cancel_operation: bool


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
        self._retry_after = retry_after(first.headers, settings.clock.now())
        self._last = settings.clock.monotonic()

    @property
    def track(self) -> Track:
        return self.reading.track

    @property
    def has_ended(self) -> bool:
        return self.reading.has_ended

    def deadline(self, timeout: float | None) -> float | None:
        return self.settings.deadline(timeout)

    def update(self, deadline: float | None) -> Steps[Snapshot]:
        """Look now: one poll, and the result with it once the operation has succeeded."""
        if not self.has_ended:
            yield from self._named(self._look(deadline))
        return self.snapshot

    def advance(self, deadline: float | None, interval: float | None) -> Steps[Snapshot]:
        """Look as soon as it is time to: when the server says so, and `interval` after the last look at the least."""
        if not self.has_ended:
            wait = self._due(interval) - self.settings.clock.monotonic()
            if wait > 0:
                yield from pause(wait, self.settings, deadline)
            yield from self.update(deadline)
        return self.snapshot

    def watch(self, deadline: float | None, interval: float | None, options: WatchOptions) -> Steps[None]:
        """Wait for the end.

        Raises:
            StoppedWaiting: the deadline passed.
            WaitCanceled: the caller's token was used; the operation is asked to stop first where `options` say so.
        """
        on_progress = options.get("on_progress")
        while not self.has_ended:
            steps = self.advance(deadline, interval)
            snapshot = yield from self.guarded(steps, options.get("cancel_operation", False), deadline)
            if on_progress is not None:
                on_progress(snapshot)

    def guarded(self, steps: Steps[T], cancel_too: bool = False, deadline: float | None = None) -> Steps[T]:
        """The steps, whose end of patience is raised as what it is."""
        try:
            return (yield from steps)
        except DeadlinePassed as passed:
            raise self.stopped(passed) from None
        except Interrupted:
            error = WaitCanceled("Nobody waits any longer; the operation goes on.", monitor_url=self.track.monitor_url)
            if cancel_too:
                try:
                    yield from self.cancel(self._last_moment(deadline))
                except (LroError, DeadlinePassed, Interrupted) as failure:
                    error.add_note(f"It could not be canceled: {failure}")
                else:
                    error = WaitCanceled(
                        "Nobody waits any longer; the operation was asked to stop.", monitor_url=self.track.monitor_url
                    )
            raise error from None

    def stopped(self, passed: DeadlinePassed) -> StoppedWaiting | ServiceUnreachable:
        """What to raise when the time is up. Nobody knows that an operation goes on that was never seen."""
        seen = self.snapshot.answer if self.snapshot.answer.status_code else None
        if seen is None and passed.reason:
            return ServiceUnreachable(
                f"{passed.told_of(self.track.poll_url)}.",
                monitor_url=self.track.monitor_url,
                answer=passed.answer,
            )
        word = self.snapshot.word or self.snapshot.status.value
        failed = f" The last try failed: {passed.reason}." if passed.reason else ""
        return StoppedWaiting(
            f"Stopped waiting; the operation goes on. Its last status was {word!r}.{failed}",
            monitor_url=self.track.monitor_url,
            answer=seen,
        )

    def cancel(self, deadline: float | None, url: str | None = None) -> Steps[Snapshot]:
        """Ask for the end of the operation. What has ended stays as it is."""
        if self.has_ended:
            return self.snapshot
        answer = yield from self._exchange(cancel_request(self.track, url), deadline)
        if not self.has_ended and not self.reading.is_result_due:
            self._take(after_cancel(self.reading, answer), answer)
        if self.reading.is_result_due:
            yield from self._named(self._look(deadline))
        return self.snapshot

    def look_at(self, url: str, deadline: float | None) -> Steps[Answer]:
        """One GET of the service's, which moves nothing on."""
        return self._exchange(Request("GET", url), deadline)

    def forget(self, deadline: float | None) -> Steps[Answer]:
        """Ask the service to delete its record of the operation (data plane: DELETE of the monitor)."""
        return self._exchange(Request("DELETE", self.track.monitor_url or self.track.poll_url), deadline)

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
        tries = 0
        while True:
            answer = yield from self._exchange(Request("GET", track.poll_url), deadline)
            tries += 1
            if answer.status_code != 404 or not self._may_lag() or tries >= self.settings.retries.attempts:
                self._has_been_seen = self._has_been_seen or answer.status_code < 400
                return answer
            delay = self.settings.retries.delay(tries, self.settings.chance)
            yield from pause(delay, self.settings, deadline, DeadlinePassed(answer))

    def _may_lag(self) -> bool:
        """A store that is behind answers 404 to the first look at what it has just accepted."""
        is_end = self.track.method == "DELETE" or self.track.cancel_requested
        return not self._has_been_seen and not is_end

    def _take(self, reading: Reading, answer: Answer) -> None:
        self.reading = reading
        self.snapshot = snapshot_of(reading, answer)
        self._polls += 1
        self._retry_after = retry_after(answer.headers, self.settings.clock.now())
        self._last = self.settings.clock.monotonic()

    def _due(self, interval: float | None) -> float:
        """When to look next. The first look waits only where the service says so."""
        demanded = self._retry_after or 0.0
        if not self._polls:
            return self._last + demanded
        if interval is not None:
            return self._last + max(demanded, interval)
        own = self.settings.pace.delay(self._polls - 1, self.settings.chance) if self._retry_after is None else SHORTEST
        return self._last + max(demanded, own)

    def _last_moment(self, deadline: float | None) -> float:
        """When a cancel that ends a wait is given up."""
        now = self.settings.clock.monotonic()
        latest = now + CANCEL_SECONDS
        return latest if deadline is None else min(latest, max(deadline, now + LEAST_CANCEL_SECONDS))

    def _exchange(self, request: Request, deadline: float | None) -> Steps[Answer]:
        """One `x-ms-client-request-id` for the whole operation, so that its requests are found together."""
        request = addressed(request, self.home, self.settings)
        if self.track.request_id is not None and request.trusted:
            headers = request.headers.merged({"x-ms-client-request-id": self.track.request_id})
            request = replace(request, headers=headers)
        return self._named(exchange(request, self.settings, deadline=deadline))

    def _named(self, steps: Steps[T]) -> Steps[T]:
        try:
            return (yield from steps)
        except LroError as error:
            error.monitor_url = error.monitor_url or self.track.monitor_url
            raise
