"""Updates of an operation that is delegated: another system reports them. Plain values."""

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from shared.errors import ErrorBody
from shared.frozen import frozen
from shared.model.operation import Operation, Progress


@frozen
class Running:
    """The work goes on. Without `progress` the last one stands (`shared.actions.progress.measured` makes one)."""

    progress: Progress | None = None


@frozen
class Succeeded:
    """It is done. `result` is what pydantic can write as JSON, None for nothing; `status_code` is what a synchronous
    call would have answered with it."""

    result: Any = None
    status_code: int = 200


@frozen
class Failed:
    """It came to nothing. `status_code` is what a synchronous call would have answered."""

    error: ErrorBody
    status_code: int = 500


@frozen
class Canceled:
    """It has stopped, because it was asked to or on its own account."""


Update = Running | Succeeded | Failed | Canceled


@frozen
class CreatedOperation:
    """A new operation, and the secret that updates it: nobody can show it again, and no `repr` does."""

    operation: Operation
    secret: str = field(repr=False)


@frozen(kw_only=True)
class Origin:
    """The request that a profile starts a delegated operation by; code of the app has none."""

    method: str = ""
    path: str = ""
    api_version: str = ""
    fingerprint: str = ""
    input_json: bytes = b"{}"
    """Kept for whoever ends it, as a start's input is."""
    profile: str = "data-plane"
    profile_state: Mapping[str, Any] = field(default_factory=dict[str, Any])
    start_status: int = 202
    labels: tuple[str, ...] = ()


NO_REQUEST = Origin()
