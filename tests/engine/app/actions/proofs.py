"""Work that leaves a line in a file at each of its steps, so that a test sees what ran where, and how often."""

import asyncio
import time
from pathlib import Path

from pydantic import Field

from shared.actions import ActionContext, AttemptContext, Model, Retry, SyncActionContext, action
from tests.support.witness import note


class Work(Model):
    id: str
    log: str
    first_seconds: float = Field(0, ge=0, le=120)
    """How long the first attempt takes; later ones end at once."""
    good_attempt: int = 1


class Done(Model):
    attempt: int


def _note(context: AttemptContext, request: Work, word: str) -> None:
    note(Path(request.log), context, word)


async def _run(context: ActionContext, request: Work) -> Done:
    _note(context, request, "began")
    try:
        await asyncio.sleep(request.first_seconds if context.attempt == 1 else 0)
    except asyncio.CancelledError:
        _note(context, request, "stopped")
        raise
    if context.attempt < request.good_attempt:
        _note(context, request, "failed")
        raise ConnectionError("not yet")
    _note(context, request, "ended")
    return Done(attempt=context.attempt)


@action("proof:run", post="proof/{id}:run")
async def run(context: ActionContext, request: Work) -> Done:
    return await _run(context, request)


@action("proof:compute", post="proof/{id}:compute")
def compute(context: SyncActionContext, request: Work) -> Done:
    _note(context, request, "began")
    end = time.monotonic() + (request.first_seconds if context.attempt == 1 else 0)
    while time.monotonic() < end:
        context.raise_if_canceled()
        time.sleep(0.05)
    _note(context, request, "ended")
    return Done(attempt=context.attempt)


@action("proof:brief", post="proof/{id}:brief", keep="1s")
async def brief(context: ActionContext, request: Work) -> Done:
    return await _run(context, request)


@action("proof:late", post="proof/{id}:late", retry=Retry(max_attempts=2, delay="1h"))
async def late(context: ActionContext, request: Work) -> Done:
    return await _run(context, request)


@action("proof:retry", post="proof/{id}:retry", retry=Retry(max_attempts=5, delay="3s"))
async def retry(context: ActionContext, request: Work) -> Done:
    return await _run(context, request)
