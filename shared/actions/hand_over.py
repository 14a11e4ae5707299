"""Handing work over to another system, which then drives the operation."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOver:
    """All that another system needs to drive the operation: `POST {update_url}` with `x-operation-secret: {secret}`."""

    operation_id: str
    update_url: str
    secret: str = field(repr=False)
    """Shown here and never again."""
    owner: str
    run: str
    """Never used twice: derive names of what you create from it."""
    created: datetime


HandsOver = Callable[[HandOver, Any], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Elsewhere:
    """What makes a verb one whose work is done elsewhere."""

    hand_over: HandsOver
    deadline: timedelta
