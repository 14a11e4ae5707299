"""What is done once an operation has ended, and what log lines say of an operation."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from shared.operations.model import Operation

AfterEnd = Callable[[Operation], Awaitable[None]]

_log = logging.getLogger(__name__)


async def follow_up(after_end: AfterEnd | None, operation: Operation) -> None:
    """Run `after_end`, if any. The operation has ended all the same where it fails: its readers make up for it."""
    if after_end is None:
        return
    try:
        await after_end(operation)
    except Exception:
        message = "What follows an operation is left to its readers"
        _log.warning(message, exc_info=True, extra=log_fields("follow_up_failed", operation))


def log_fields(event: str, operation: Operation) -> dict[str, Any]:
    """The fields of a log line about an operation."""
    return {
        "action": event,
        "operation_id": operation.id,
        "action_name": operation.action,
        "attempt": operation.attempt,
        "status": operation.status.value,
    }
