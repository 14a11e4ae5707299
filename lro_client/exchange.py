"""One request and its answer, sent again where that is safe: generators of steps, without I/O of their own."""

import random
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace

from lro_client.clock import Clock
from lro_client.errors import ServiceUnreachable
from lro_client.messages import Answer, Headers, Request
from lro_client.model import Limits
from lro_client.pacing import NOT_TAKEN, TRANSIENT, Pace, Retries, retry_after
from lro_client.reasons import error_of
from lro_client.steps import Lost, Sleep, Steps, send
from lro_client.urls import is_trusted, without_query

ACCEPT = "application/json, */*;q=0.8"
_KEYS = ("operation-id", "repeatability-request-id", "idempotency-key")


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of a client, and where its time and its chance come from.

    `headers` go with every request to a trusted origin; `allowed_origins` are trusted beside the start's.
    """

    headers: Headers = field(default_factory=Headers)
    allowed_origins: Collection[str] = ()
    limits: Limits = field(default_factory=Limits)
    pace: Pace = field(default_factory=Pace)
    retries: Retries = field(default_factory=Retries)
    clock: Clock = field(default_factory=Clock)
    chance: Callable[[], float] = random.random

    def deadline(self, timeout: float | None) -> float | None:
        """The moment a time-out ends at, on this clock."""
        return None if timeout is None else self.clock.monotonic() + timeout


class DeadlinePassed(Exception):
    """The caller's time is up. Whoever called says what that means.

    `failure` is what the last try came to, where it failed: an answer, or why there was none. `may_be_taken`: by what
    the tries came to, the service may have taken the request all the same.
    """

    def __init__(self, failure: Lost | Answer | None = None, *, may_be_taken: bool = False) -> None:
        super().__init__("the time was up")
        self.failure = failure
        self.may_be_taken = may_be_taken

    @property
    def answer(self) -> Answer | None:
        return self.failure if isinstance(self.failure, Answer) else None

    @property
    def reason(self) -> str:
        """The failure in words; empty where nothing had failed."""
        if isinstance(self.failure, Answer):
            error = error_of(self.failure)
            return f"{self.failure.status_code}{f' {error}' if error else ''}"
        return "" if self.failure is None else str(self.failure)

    def told_of(self, url: str) -> str:
        """What it means for a URL that nothing is known from: without a connection, the time is not to blame."""
        if isinstance(self.failure, Lost) and not self.failure.was_sent:
            return _unreached(url, self.failure)
        return f"{without_query(url)} did not answer in time{f': {self.reason}' if self.reason else ''}"


def pause(seconds: float, settings: Settings, deadline: float | None, up: DeadlinePassed | None = None) -> Steps[None]:
    """Sleep, but not beyond the deadline: what is raised there is `up`, where it is given."""
    if deadline is None:
        yield Sleep(seconds)
        return
    left = deadline - settings.clock.monotonic()
    if left <= 0:
        raise up or DeadlinePassed()
    yield Sleep(min(seconds, left))
    if seconds >= left:
        raise up or DeadlinePassed()


def is_repeatable(method: str, headers: Headers) -> bool:
    """Whether sending it twice does what sending it once does: by its method (RFC 9110, section 9.2.2), or because it
    carries an id that the service knows it again by."""
    return method.upper() in ("GET", "PUT", "DELETE", "HEAD") or any(name in headers for name in _KEYS)


def addressed(request: Request, home: str, settings: Settings) -> Request:
    """The request as it goes out: the client's headers and credentials for trusted origins only."""
    trusted = is_trusted(request.url, home, settings.allowed_origins)
    base = settings.headers if trusted else Headers()
    return replace(request, trusted=trusted, headers=Headers({"Accept": ACCEPT}).merged(base, request.headers))


def exchange(
    request: Request, settings: Settings, *, deadline: float | None = None, attempts: int | None = None
) -> Steps[Answer]:
    """Send until there is an answer that is not "not now"; the last one is handed back when the retries are used up.

    425, 429 and 503 say that nothing was done, so any request is sent again after them, as after a connection that
    could not be made. After the others of `TRANSIENT` and a lost connection only what is repeatable is.

    Raises:
        DeadlinePassed: the time was up first.
        ServiceUnreachable: there was no answer at all.
    """
    repeatable = is_repeatable(request.method, request.headers)
    attempts = settings.retries.attempts if attempts is None else attempts
    failures = 0
    failure: Lost | Answer | None = None
    may_be_taken = False
    while True:
        failures += 1
        timeout = settings.limits.request_seconds
        if deadline is not None:
            timeout = min(timeout, deadline - settings.clock.monotonic())
            if timeout <= 0:
                raise DeadlinePassed(failure, may_be_taken=may_be_taken)
        try:
            answer = yield from send(request, timeout)
        except Lost as lost:
            may_be_taken = may_be_taken or lost.was_sent
            if deadline is not None and settings.clock.monotonic() >= deadline:
                raise DeadlinePassed(lost, may_be_taken=may_be_taken) from lost
            if (lost.was_sent and not repeatable) or failures >= attempts:
                raise _unreachable(request, lost, repeatable) from lost
            failure, demanded = lost, None
        else:
            again = TRANSIENT if repeatable else NOT_TAKEN
            if answer.status_code not in again or failures >= attempts:
                return answer
            may_be_taken = may_be_taken or answer.status_code not in NOT_TAKEN
            failure, demanded = answer, retry_after(answer.headers, settings.clock.now())
        delay = settings.retries.delay(failures, settings.chance)
        up = DeadlinePassed(failure, may_be_taken=may_be_taken)
        yield from pause(max(delay, demanded or 0.0), settings, deadline, up)


def _unreachable(request: Request, lost: Lost, repeatable: bool) -> ServiceUnreachable:
    if not lost.was_sent:
        return ServiceUnreachable(f"{_unreached(request.url, lost)}.")
    tail = "" if repeatable else " The service may have taken the request all the same."
    return ServiceUnreachable(f"No answer from {without_query(request.url)}: {lost}.{tail}")


def _unreached(url: str, lost: Lost) -> str:
    return f"{without_query(url)} could not be reached: {lost}"
