"""What a handler is given beside its input."""

import json
import logging
from collections.abc import MutableMapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import urlencode

from shared.errors import ActionCanceled
from shared.operations.model import Progress

_MAX_MESSAGE = 500
_MAX_DATA = 4096


class Attempt(Protocol):
    """The running attempt behind a context. Both members may be used from any thread."""

    @property
    def cancel_requested(self) -> bool: ...

    def report(self, progress: Progress) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionContext:
    """One attempt, as its handler sees it. Safe to use from the handler's own thread."""

    operation_id: str
    run_id: str
    """The same over all attempts of one operation and never used again: derive names of what you create from it."""
    action: str
    attempt: int
    """1 for the first."""
    deadline: datetime
    """When this attempt is stopped (aware, UTC)."""
    owner: str
    """The principal that started the operation; empty where callers share one key."""
    logger: logging.LoggerAdapter[logging.Logger]
    attempt_state: Attempt

    @property
    def cancel_requested(self) -> bool:
        """Whether the operation was asked to stop, or this attempt is over its deadline."""
        return self.attempt_state.cancel_requested

    def raise_if_cancelled(self) -> None:
        """Raise ActionCanceled once the handler should stop. Call it between steps of a sync handler."""
        if self.cancel_requested:
            raise ActionCanceled(f"operation {self.operation_id} was asked to stop")

    def report_progress(
        self,
        *,
        percent: float | None = None,
        done: int | None = None,
        total: int | None = None,
        message: str | None = None,
        data: Any = None,
    ) -> None:
        """Show how far the work is. Costs nothing to call often: at most one write a second reaches the store.

        `percent` is 0 to 100 and follows from `done` and `total` where it is not given; `message` is cut after
        500 characters; `data` is any JSON value of up to 4 KiB, for it is stored in the record. Raises ValueError for
        numbers out of range and for data that does not fit.
        """
        self.attempt_state.report(measured(percent=percent, done=done, total=total, message=message, data=data))


def measured(
    *,
    percent: float | None = None,
    done: int | None = None,
    total: int | None = None,
    message: str | None = None,
    data: Any = None,
) -> Progress:
    """Progress as the record holds it; the limits, and ValueError beyond them, as `report_progress` has them."""
    if percent is None and done is not None and total:
        percent = 100.0 * done / total
    if percent is not None and not 0 <= percent <= 100:
        raise ValueError(f"percent is {percent}: it lies between 0 and 100")
    rounded = None if percent is None else round(percent, 2)
    cut = None if message is None else message[:_MAX_MESSAGE]
    return Progress(rounded, done, total, cut, _snapshot(data))


def _snapshot(data: Any) -> Any:
    """A copy the handler cannot change any more, of what JSON and the record can hold."""
    try:
        text = json.dumps(data, allow_nan=False)
    except TypeError as error:
        raise ValueError(f"data is not JSON: {error}") from None
    if len(text) > _MAX_DATA:
        raise ValueError(f"data has {len(text)} bytes as JSON; the record holds {_MAX_DATA}")
    return json.loads(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadContext:
    """What a read is given beside its input."""

    owner: str
    base_url: str
    api_version: str

    def link(self, path: str, **query: str) -> str:
        """An absolute, self-contained URL into this app, for `nextLink` and the like."""
        return f"{self.base_url}/{path}?{urlencode({'api-version': self.api_version, **query})}"


class OperationLogger(logging.LoggerAdapter[logging.Logger]):
    """Adds the operation to every record a handler logs, as `extra` fields."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        kwargs["extra"] = {**(self.extra or {}), **(kwargs.get("extra") or {})}
        return msg, kwargs
