"""`FAIL_STARTS=n` makes the engine refuse the first n starts of the process, as an unreachable task hub would."""

import os

from azure.durable_functions import DurableOrchestrationClient

_start_new = DurableOrchestrationClient.start_new
_refusals = int(os.environ.get("FAIL_STARTS", "0"))


async def _refusing(*args: object, **kwargs: object) -> str:
    global _refusals  # noqa: PLW0603 (counts what is left)
    if _refusals:
        _refusals -= 1
        raise Exception("the task hub did not answer")
    return await _start_new(*args, **kwargs)  # pyright: ignore


def install() -> None:
    if _refusals:
        DurableOrchestrationClient.start_new = _refusing
