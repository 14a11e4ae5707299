"""The actions of the tests' own app: those of `trials.py`, and the repository's own beside them.

`FAIL_STARTS=n` makes the engine refuse the first n starts of the process, as an unreachable task hub would.
"""

import os
from pathlib import Path

from azure.durable_functions import DurableOrchestrationClient

__path__.append(str(Path(__file__).parents[4] / "actions"))

_start_new = DurableOrchestrationClient.start_new
_refusals = int(os.environ.get("FAIL_STARTS", "0"))


async def _refusing(*args: object, **kwargs: object) -> str:
    global _refusals  # noqa: PLW0603 (counts what is left)
    if _refusals:
        _refusals -= 1
        raise Exception("the task hub did not answer")
    return await _start_new(*args, **kwargs)  # pyright: ignore


if _refusals:
    DurableOrchestrationClient.start_new = _refusing
