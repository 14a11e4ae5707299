"""Actions that run long, fail, retry, return nothing or much, and resources that are put and deleted."""

import asyncio
import os
import time
from pathlib import Path

from pydantic import Field

from shared.actions import (
    Accepted,
    ActionContext,
    ActionFailed,
    ErrorDetail,
    Model,
    RequestContext,
    RequestError,
    Retry,
    SyncActionContext,
    action,
    call,
    read,
)


class Trial(Model):
    id: str
    note: str = ""
    """Any text: above 30 KiB the input goes to a blob."""


class Wait(Model):
    id: str
    seconds: float = Field(60, ge=0, le=300)
    log: str | None = None
    """A file that gets a line when the handler begins and when it has to stop."""


class Waited(Model):
    seconds: float
    attempt: int


class Flaky(Model):
    id: str
    good_attempt: int = 3


class Sized(Model):
    id: str
    size: int = 40_000


class Text(Model):
    text: str


class Marked(Model):
    id: str
    marker: str


def _note(request: Wait, word: str) -> None:
    if request.log:
        with Path(request.log).open("a", encoding="utf-8") as file:
            file.write(f"{word}\n")


@action("trial:wait", post="trial/{id}:wait")
async def wait(context: ActionContext, request: Wait) -> Waited:
    _note(request, "began")
    try:
        await asyncio.sleep(request.seconds)
    except asyncio.CancelledError:
        _note(request, "stopped")
        raise
    return Waited(seconds=request.seconds, attempt=context.attempt)


@action("trial:wait-sync", post="trial/{id}:wait-sync", retry_after=7)
def wait_sync(context: SyncActionContext, request: Wait) -> Waited:
    _note(request, "began")
    end = time.monotonic() + request.seconds
    while time.monotonic() < end:
        if context.cancel_requested:
            _note(request, "stopped")
        context.raise_if_canceled()
        time.sleep(0.05)
    return Waited(seconds=request.seconds, attempt=context.attempt)


@action("trial:fail", post="trial/{id}:fail", retry=Retry(max_attempts=3, delay="1ms"))
async def fail(context: ActionContext, request: Trial) -> None:
    details = [ErrorDetail("Cracked", "The spine is cracked.", "spine")]
    raise ActionFailed("TrialFailed", "This trial always fails.", target="trial", details=details)


@action("trial:crash", post="trial/{id}:crash")
async def crash(context: ActionContext, request: Trial) -> None:
    raise RuntimeError("a secret that no caller may read")


@action("trial:flaky", post="trial/{id}:flaky", retry=Retry(max_attempts=3, delay="1ms"))
async def flaky(context: ActionContext, request: Flaky) -> Waited:
    if context.attempt < request.good_attempt:
        raise ConnectionError("not yet")
    return Waited(seconds=0, attempt=context.attempt)


@action("trial:late", post="trial/{id}:late", retry=Retry(max_attempts=2, delay="1h"))
async def late(context: ActionContext, request: Trial) -> None:
    raise ConnectionError("the next attempt comes in an hour")


@action("trial:overdue", post="trial/{id}:overdue", timeout="500ms")
async def overdue(context: ActionContext, request: Trial) -> None:
    await asyncio.sleep(60)


@action("trial:nothing", post="trial/{id}:nothing")
async def nothing(context: ActionContext, request: Trial) -> None:
    return None


@call("trial:echo", post="trial/{id}:echo")
async def echo(context: RequestContext, request: Trial) -> Trial:
    return request


@action("trial:tick", post="trial:tick")
async def tick(context: ActionContext) -> None:
    """Takes no input at all."""


@action("trial:large", post="trial/{id}:large")
async def large(context: ActionContext, request: Sized) -> Text:
    return Text(text="é" * request.size)


@action("trial:odd-result", post="trial/{id}:odd-result")
async def odd_result(context: ActionContext, request: Trial) -> Text:
    return 5  # type: ignore[return-value]


@action("trial:progress", post="trial/{id}:progress")
async def progress(context: ActionContext, request: Wait) -> Waited:
    for done in range(1, 4):
        context.report_progress(done=done, total=4, message=f"step {done}", data={"step": done})
    await asyncio.sleep(request.seconds)
    return Waited(seconds=request.seconds, attempt=context.attempt)


@action("trial:refused", post="trial/{id}:refused")
async def refused(context: ActionContext, request: Trial) -> None: ...


@refused.precondition
def trial_is_free(request: Trial) -> None:
    if request.id.startswith("busy"):
        raise RequestError(409, "TrialBusy", "Another operation holds this trial.", target=request.id)


@action("trial:brief", post="trial/{id}:brief", keep="1s")
async def brief(context: ActionContext, request: Trial) -> None: ...


def _was_here(marker: Path) -> bool:
    try:
        marker.touch(exist_ok=False)
    except FileExistsError:
        return True
    return False


@action("trial:survive", post="trial/{id}:survive")
async def survive(context: ActionContext, request: Marked) -> Waited:
    """Waits for ever the first time and ends at once the second time."""
    if not await asyncio.to_thread(_was_here, Path(request.marker)):
        await asyncio.sleep(280)
    return Waited(seconds=0, attempt=context.attempt)


@action("trial:gated", post="trial/{id}:gated")
async def gated(context: ActionContext, request: Marked) -> Waited:
    """Ends once the file `marker` is there."""
    while not await asyncio.to_thread(Path(request.marker).exists):  # noqa: ASYNC110 - somebody else makes it
        await asyncio.sleep(0.2)
    return Waited(seconds=0, attempt=context.attempt)


@action("trial:deadly", post="trial/{id}:deadly", max_lost=3)
async def deadly(context: ActionContext, request: Marked) -> None:
    """Takes the whole process along, half a second after the file `marker` is there."""
    while not await asyncio.to_thread(Path(request.marker).exists):  # noqa: ASYNC110 - somebody else makes it
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.5)
    os._exit(9)


class Job(Model):
    seconds: float = Field(0, ge=0, le=300)
    fail: bool = False


class Stored(Model):
    id: str
    note: str


class TrialRef(Model):
    id: str


STORED: dict[str, str] = {}
"""Trials that were put, for as long as this process lives."""


async def _behave(id: str) -> None:
    """As the id says: `slow...` takes a minute, `bad...` fails."""
    await asyncio.sleep(60 if id.startswith("slow") else 0.2)
    if id.startswith("bad"):
        raise ActionFailed("TrialFailed", "This trial always fails.")


@action("trial:put", put="trial/{id}", exclusive="trial/{id}")
async def put_trial(context: ActionContext, request: Trial) -> Stored:
    await _behave(request.id)
    STORED[request.id] = request.note
    return Stored(id=request.id, note=request.note)


@put_trial.accepted
def trial_to_be(request: Trial) -> Accepted:
    return Accepted(created=request.id not in STORED, resource=Stored(id=request.id, note=request.note))


@action("trial:delete", delete="trial/{id}", exclusive="trial/{id}")
async def delete_trial(context: ActionContext, request: TrialRef) -> None:
    await _behave(request.id)
    STORED.pop(request.id, None)


@read("trial:get", get="trial/{id}")
async def get_trial(context: RequestContext, request: TrialRef) -> Stored:
    if request.id not in STORED:
        raise RequestError(404, "TrialNotFound", "There is no such trial.", target=request.id)
    return Stored(id=request.id, note=STORED[request.id])


class Rows(Model):
    value: list[str]


@read("trial:row", get="trial-rows/{id}")
async def get_row(context: RequestContext, request: TrialRef) -> Stored:
    """A read that needs storage."""
    row = await context.storage.table("trials").read("trials", request.id)
    if row is None:
        raise RequestError(404, "TrialNotFound", "There is no such trial.", target=request.id)
    return Stored(id=row.key, note="")


@read("trial:rows", get="trial-rows")
async def list_rows(context: RequestContext) -> Rows:
    page = await context.storage.table("trials").page("trials", lower=" ", upper="~")
    return Rows(value=[row.key for row in page.rows])


@action("trial:job", put="trial-jobs/{operation_id}")
async def job(context: ActionContext, request: Job) -> Waited:
    await asyncio.sleep(request.seconds)
    if request.fail:
        raise ActionFailed("TrialFailed", "This trial always fails.")
    return Waited(seconds=request.seconds, attempt=context.attempt)
