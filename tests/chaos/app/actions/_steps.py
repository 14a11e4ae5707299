"""What every handler does: it writes to the witness, and takes its time."""

import asyncio
import os
import time
from pathlib import Path
from typing import Any

from shared.actions import ActionContext, AttemptContext, Retry
from tests.support.witness import note

OFTEN: dict[str, Any] = {"max_lost": 100}
"""Policies of what is lost more often than any operation outside a chaos run."""
STORING: dict[str, Any] = {**OFTEN, "retry": Retry(max_attempts=20, delay="200ms", backoff=1)}
"""Of handlers that call the store, which may not answer."""


def say(context: AttemptContext, word: str) -> None:
    note(Path(os.environ["CHAOS_WITNESS"]), context, word)


async def work(context: ActionContext, seconds: float) -> None:
    say(context, "began")
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        say(context, "stopped")
        raise
    say(context, "ended")


def compute(context: AttemptContext, seconds: float) -> None:
    say(context, "began")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        context.raise_if_canceled()
        time.sleep(0.05)
    say(context, "ended")
