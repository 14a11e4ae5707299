"""OData actions that run long, fail, or cannot be undone: what the sample's cannot show."""

import asyncio
from pathlib import Path

from pydantic import Field

from actions.catalog import library
from shared.actions import ActionContext, ActionFailed, ErrorDetail, Model, ReadContext, Retry


class TrialWait(Model):
    seconds: float = Field(60, ge=0, le=300)
    log: str | None = None
    """A file that gets a line when the handler begins and when it is told to stop."""


class TrialWaited(Model):
    seconds: float
    attempt: int


class TrialSized(Model):
    size: int = 40_000


class TrialNumbers(Model):
    a: int
    b: int = 1


@library.action("TrialWait", timeout="2s", undoable=True)
async def wait(context: ActionContext, request: TrialWait) -> TrialWaited:
    return await _wait(context, request)


@library.action("TrialWaitLong", timeout="9m", undoable=True)
async def wait_long(context: ActionContext, request: TrialWait) -> TrialWaited:
    return await _wait(context, request)


@library.action("TrialStubborn", timeout="9m", undoable=True)
async def stubborn(context: ActionContext, request: TrialWait) -> TrialWaited:
    try:
        await asyncio.sleep(request.seconds)
    except asyncio.CancelledError:
        await asyncio.sleep(4)
        raise
    return TrialWaited(seconds=request.seconds, attempt=context.attempt)


@library.action("TrialDone", timeout="9m")
async def done(context: ActionContext, request: TrialWait) -> TrialWaited:
    return await _wait(context, request)


@library.action("TrialAgain", timeout="1s", retry=Retry(max_attempts=9, delay="100ms"), undoable=True)
async def again(context: ActionContext, request: TrialWait) -> TrialWaited:
    return await _wait(context, request)


@library.action("TrialRepeat", timeout="60s", retry=Retry(max_attempts=3, delay="100ms"))
async def repeat(context: ActionContext, request: TrialWait) -> TrialWaited:
    """Waits in its first attempt only."""
    return await _wait(context, request if context.attempt == 1 else request.model_copy(update={"seconds": 0}))


@library.action("TrialFail", timeout="30s")
async def fail(context: ActionContext) -> None:
    detail = ErrorDetail("Cracked", "The spine is cracked.", "spine")
    raise ActionFailed("TrialFailed", "This trial always fails.", target="trial", details=[detail], status_code=422)


@library.action("TrialNothing", timeout="30s")
async def nothing(context: ActionContext) -> None:
    return None


@library.action("TrialSized", timeout="30s")
async def sized(context: ActionContext, request: TrialSized) -> list[str]:
    return ["x" * 1000] * (request.size // 1000)


@library.function("TrialAdd")
async def add(context: ReadContext, request: TrialNumbers) -> int:
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
