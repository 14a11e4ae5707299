"""OData actions that run long, fail, or cannot be undone; an app declares them in its one service."""

import asyncio
from pathlib import Path

from pydantic import Field

from shared.actions import ActionContext, ActionFailed, ErrorDetail, File, Model, ODataService, RequestContext, Retry


class TrialWait(Model):
    seconds: float = Field(60, ge=0, le=300)
    log: str | None = None
    """A file that gets a line when the handler begins and when it has to stop."""


class TrialWaited(Model):
    seconds: float
    attempt: int


class TrialSized(Model):
    size: int = 40_000


class TrialNumbers(Model):
    a: int
    b: int = 1


async def wait(context: ActionContext, request: TrialWait) -> TrialWaited:
    return await _wait(context, request)


async def wait_long(context: ActionContext, request: TrialWait) -> TrialWaited:
    return await _wait(context, request)


async def stubborn(context: ActionContext, request: TrialWait) -> TrialWaited:
    try:
        await asyncio.sleep(request.seconds)
    except asyncio.CancelledError:
        await asyncio.sleep(4)
        raise
    return TrialWaited(seconds=request.seconds, attempt=context.attempt)


async def done(context: ActionContext, request: TrialWait) -> TrialWaited:
    return await _wait(context, request)


async def again(context: ActionContext, request: TrialWait) -> TrialWaited:
    return await _wait(context, request)


async def repeat(context: ActionContext, request: TrialWait) -> TrialWaited:
    """Waits in its first attempt only."""
    return await _wait(context, request if context.attempt == 1 else request.model_copy(update={"seconds": 0}))


async def fail(context: ActionContext) -> None:
    detail = ErrorDetail("Cracked", "The spine is cracked.", "spine")
    raise ActionFailed("TrialFailed", "This trial always fails.", target="trial", details=[detail], status_code=422)


async def nothing(context: ActionContext) -> None:
    return None


async def sized(context: ActionContext, request: TrialSized) -> list[str]:
    return ["x" * 1000] * (request.size // 1000)


async def file(context: ActionContext, request: TrialSized) -> File:
    return File(b"x" * request.size, file_name="sized.txt", content_type="text/plain")


async def add(context: RequestContext, request: TrialNumbers) -> int:
    return request.a + request.b


async def _wait(context: ActionContext, request: TrialWait) -> TrialWaited:
    _note(request.log, f"began {context.attempt}")
    try:
        await asyncio.sleep(request.seconds)
    except asyncio.CancelledError:
        _note(request.log, "stopped")
        raise
    return TrialWaited(seconds=request.seconds, attempt=context.attempt)


def _note(log: str | None, line: str) -> None:
    if log:
        with Path(log).open("a") as file:
            file.write(f"{line}\n")


def declare(service: ODataService) -> None:
    """Give `service` all of the above."""
    service.action("TrialWait", timeout="2s", undoable=True, at_most_once=True)(wait)
    service.action("TrialWaitLong", timeout="9m", undoable=True)(wait_long)
    service.action("TrialStubborn", timeout="9m", undoable=True)(stubborn)
    service.action("TrialDone", timeout="9m")(done)
    service.action("TrialAgain", timeout="1s", retry=Retry(max_attempts=9, delay="100ms"), undoable=True)(again)
    service.action("TrialRepeat", timeout="60s", retry=Retry(max_attempts=3, delay="100ms"))(repeat)
    service.action("TrialFail", timeout="30s")(fail)
    service.action("TrialNothing", timeout="30s")(nothing)
    service.action("TrialSized", timeout="30s")(sized)
    service.action("TrialFile", timeout="30s")(file)
    service.function("TrialAdd")(add)
