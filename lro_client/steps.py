"""The seam between what is to be done and who does it.

Whatever needs the network is a generator of steps: it yields `Send` and `Sleep` and is handed the answer. Two drivers
run one, a blocking and an asynchronous one; they differ in how they send and sleep, and in nothing else.
"""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from lro_client.cancellation import CancellationToken
from lro_client.messages import Answer, Request

P = ParamSpec("P")
S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Send:
    """Send `request` and hand its answer back, or raise `Lost`. `timeout` bounds the whole exchange, in seconds."""

    request: Request
    timeout: float


@dataclass(frozen=True, slots=True)
class Sleep:
    seconds: float


Steps = Generator[Send | Sleep, Any, T]


class Lost(Exception):
    """No answer came. `was_sent`: the service may have got the request all the same."""

    def __init__(self, message: str, *, was_sent: bool) -> None:
        super().__init__(message)
        self.was_sent = was_sent


class Interrupted(Exception):
    """The caller's cancellation token was used."""


class Sender(Protocol):
    """What a blocking driver needs. `send` raises `Lost` and `Interrupted`, `sleep` raises `Interrupted`."""

    def send(self, request: Request, timeout: float, token: CancellationToken | None) -> Answer: ...

    def sleep(self, seconds: float, token: CancellationToken | None) -> None: ...


class AsyncSender(Protocol):
    """What an asynchronous driver needs."""

    async def send(self, request: Request, timeout: float, token: CancellationToken | None) -> Answer: ...

    async def sleep(self, seconds: float, token: CancellationToken | None) -> None: ...


def send(request: Request, timeout: float) -> Steps[Answer]:
    """One exchange, as a step."""
    answer: Answer = yield Send(request, timeout)
    return answer


def drive(steps: Steps[T], sender: Sender, token: CancellationToken | None = None) -> T:
    """Run the steps to their end. A used token interrupts them once; what they do about it is not interrupted."""
    outcome: Any = None
    failure: Exception | None = None
    try:
        while True:
            try:
                step = steps.send(outcome) if failure is None else steps.throw(failure)
            except StopIteration as end:
                return end.value
            outcome, failure = None, None
            try:
                if token is not None and token.is_canceled:
                    raise Interrupted
                if isinstance(step, Send):
                    outcome = sender.send(step.request, step.timeout, token)
                else:
                    sender.sleep(step.seconds, token)
            except Exception as error:
                failure = error
                token = None if isinstance(error, Interrupted) else token
    finally:
        steps.close()


async def drive_async(steps: Steps[T], sender: AsyncSender, token: CancellationToken | None = None) -> T:
    """`drive`, on an event loop. Canceling the task interrupts the steps as a token does, and ends in `CancelledError`
    all the same; canceling it once more interrupts what they do about it."""
    outcome: Any = None
    failure: Exception | None = None
    canceled: asyncio.CancelledError | None = None
    try:
        while True:
            try:
                step = steps.send(outcome) if failure is None else steps.throw(failure)
            except StopIteration as end:
                if canceled is None:
                    return end.value
                raise canceled from None
            except Exception as error:
                if canceled is None:
                    raise
                for note in getattr(error, "__notes__", ()):
                    canceled.add_note(note)
                raise canceled from error
            failure = None
            try:
                outcome = await _done(step, sender, token)
            except asyncio.CancelledError as error:
                canceled, failure, token = error, Interrupted("the task was canceled"), None
            except Exception as error:
                failure = error
                token = None if isinstance(error, Interrupted) else token
    finally:
        steps.close()


async def _done(step: Send | Sleep, sender: AsyncSender, token: CancellationToken | None) -> Answer | None:
    if token is not None and token.is_canceled:
        raise Interrupted
    if isinstance(step, Send):
        return await sender.send(step.request, step.timeout, token)
    await sender.sleep(step.seconds, token)
    return None


def blocking(steps: Callable[Concatenate[S, P], Steps[T]]) -> Callable[Concatenate[S, P], T]:
    """The method that runs the steps of a method: by its object's `_sender`, and until its own `cancellation`."""

    @wraps(steps)
    def method(self: S, *arguments: P.args, **options: P.kwargs) -> T:
        return drive(steps(self, *arguments, **options), *_driving(self, options))

    return method


def awaited(steps: Callable[Concatenate[S, P], Steps[T]]) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """As `blocking`, on an event loop."""

    @wraps(steps)
    async def method(self: S, *arguments: P.args, **options: P.kwargs) -> T:
        return await drive_async(steps(self, *arguments, **options), *_driving(self, options))

    return method


def _driving(driven: Any, options: dict[str, Any]) -> tuple[Any, CancellationToken | None]:
    return driven._sender, options.get("cancellation")
