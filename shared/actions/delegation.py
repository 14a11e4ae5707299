"""Handing work over to another system, which then drives the operation."""

from collections.abc import Awaitable, Callable
from dataclasses import field
from datetime import datetime, timedelta

from shared.actions.hooks import Hook
from shared.frozen import frozen


@frozen(kw_only=True)
class Delegation:
    """All that another system needs to drive the operation: `POST {update_url}` with `x-operation-secret: {secret}`."""

    operation_id: str
    update_url: str
    secret: str = field(repr=False)
    """Shown here and never again."""
    owner: str
    run_id: str
    """Never used twice: derive names of what you create from it."""
    created: datetime


Delegate = Callable[..., Awaitable[None]]
"""`([context, ]work, resource)`."""


@frozen(kw_only=True, slots=False)
class DelegatedWork:
    """What makes a verb one whose work is delegated."""

    delegate: Hook
    deadline: timedelta
