"""What a handler gives to keep, a checkpoint or the result of a step, as the JSON that is stored.

A mistake raises in the handler at once, as an ActionFailed that says what to do: it is not tried again.
"""

from hashlib import sha256
from typing import Any

from pydantic_core import from_json, to_json

from shared.errors import ActionFailed
from shared.frozen import frozen
from shared.operations.off_loop import SMALL, off_loop
from shared.operations.results import estimated

MAX_CHECKPOINT_BYTES = 4 * 1024 * 1024
"""A checkpoint is written again and again, and is held in memory twice."""


@frozen
class Kind:
    """What is kept, in the words of its errors."""

    name: str
    invalid: str
    too_large: str
    advice: str


CHECKPOINT = Kind(
    "The checkpoint",
    "InvalidCheckpoint",
    "CheckpointTooLarge",
    "save what leads to the work that is left, and keep the rest in a table or container of your own",
)
STEP_RESULT = Kind(
    "The result of the step",
    "InvalidStepResult",
    "StepResultTooLarge",
    "store it in a container of your own, and return its name",
)


@frozen
class Snapshot:
    """A value at one moment: what the value becomes afterwards does not change it."""

    content: bytes
    sha256: str
    value: Any
    """As who reads it later gets it."""


async def snapshot(value: Any, kind: Kind, *, limit: int) -> Snapshot:
    """As `snapshot_now`, in a thread above 64 KiB."""
    size = _checked_size(value, kind, limit)
    return await off_loop(size, _made, value, kind, limit)


def snapshot_now(value: Any, kind: Kind, *, limit: int) -> Snapshot:
    """The JSON of `value`, of `limit` bytes at most. Raises ActionFailed."""
    _checked_size(value, kind, limit)
    return _made(value, kind, limit)


def _checked_size(value: Any, kind: Kind, limit: int) -> int:
    """Bytes that it has at least, and more than a few where that is not known."""
    size, is_known = estimated(value, limit)
    if size > limit:
        raise _too_large(kind, limit)
    return size if is_known else SMALL + 1


def _made(value: Any, kind: Kind, limit: int) -> Snapshot:
    try:
        content = to_json(value, by_alias=True, inf_nan_mode="constants")
        made = Snapshot(content, sha256(content).hexdigest(), from_json(content, allow_inf_nan=False))
    except Exception as error:  # serializers are the action's own code
        # What pydantic says may repeat the value.
        message = f"{kind.name} is no JSON ({type(error).__name__}): use dicts, lists, texts, finite numbers, models."
        raise ActionFailed(kind.invalid, message, status_code=500) from error
    if len(content) > limit:
        raise _too_large(kind, limit)
    return made


def _too_large(kind: Kind, limit: int) -> ActionFailed:
    return ActionFailed(
        kind.too_large, f"{kind.name} has more than {limit} bytes as JSON; {kind.advice}.", status_code=500
    )
