"""The record of an operation: plain values, no I/O.

Times are aware UTC datetimes. A record is never changed in place: the lifecycle returns a new one.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from shared.errors import ErrorBody
from shared.operations.ids import Locator


class Status(StrEnum):
    """Words on the wire and in storage, never renamed (Azure REST API Guidelines, "The Status Monitor Resource")."""

    NOT_STARTED = "NotStarted"
    """Recorded; no attempt holds it."""
    RUNNING = "Running"
    """An attempt holds it under a lease."""
    CANCELING = "Canceling"
    """Asked to stop while an attempt held it."""
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELED = "Canceled"

    @property
    def is_terminal(self) -> bool:
        return self in TERMINAL


TERMINAL = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELED})


@dataclass(frozen=True, slots=True)
class Payload:
    """An input or a result: inline text up to 30 KiB, otherwise the name of a blob. `size` in bytes."""

    content_type: str
    size: int
    sha256: str
    text: str | None = None
    blob: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an operation ended, stored once and rendered by each profile its own way.

    `status_code`, `headers` and `body` are those of the answer a synchronous call would have had.
    """

    status_code: int
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: Payload | None = None
    error: ErrorBody | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """What a handler reported last. `percent` is 0 to 100."""

    percent: float | None = None
    done: int | None = None
    total: int | None = None
    message: str | None = None
    data: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One run of an action."""

    id: str
    owner: str
    run: str
    """UUID of this record, 32 hex digits; unlike `id` never chosen by a caller and never used twice."""
    action: str
    method: str
    path: str
    """Method and path of the request that started it."""
    api_version: str
    fingerprint: str
    """SHA-256 of the start request; a replay must bring the same one."""
    input: Payload
    created: datetime
    changed: datetime
    deadline: datetime
    """When the operation as a whole is given up."""
    keep: timedelta
    """How long the record stays after the end."""
    retry_after: int
    """Seconds a client should wait between polls."""
    profile: str = "data-plane"
    """The contract of the route that started it; its monitors answer by that contract."""
    resource: str = ""
    """The resource it works on: a path or an ARM id, empty where there is none."""
    start_status: int = 202
    """What the start answered; a replay answers the same."""
    facts: dict[str, Any] = field(default_factory=dict[str, Any])
    """What the profile has to remember of the start: small JSON values, never a secret."""
    external: bool = False
    """Driven from elsewhere (`shared.operations.external`): never claimed, no lease, only deadlines."""
    secret_hash: str = ""
    """SHA-256 in hex of the secret that lets another system update it; empty in what was read for a monitor."""
    status: Status = Status.NOT_STARTED
    generation: int = 1
    """Counts engine starts; an orchestration of an older generation does nothing."""
    attempt: int = 0
    failures: int = 0
    """Attempts that failed or lost their lease; the next claim is attempt `failures + 1`."""
    fence: int = 0
    """Counts claims; guards every write of an attempt."""
    holder: str = ""
    """Random id of the claim that holds the lease."""
    started: datetime | None = None
    ended: datetime | None = None
    not_before: datetime | None = None
    lease_until: datetime | None = None
    attempt_deadline: datetime | None = None
    unknown_since: datetime | None = None
    """When an instance first found that it has no such action."""
    expires: datetime | None = None
    progress: Progress | None = None
    outcome: Outcome | None = None
    last_error: ErrorBody | None = None
    """Why the last attempt failed, while another one is to come."""
    etag: str = ""

    @property
    def locator(self) -> Locator:
        return Locator.of(self.owner, self.id)

    @property
    def instance_id(self) -> str:
        """The engine's name for this generation: Durable refuses a start on a live id and replaces a finished one."""
        return f"{self.run}.{self.generation}"

    def lease_is_live(self, now: datetime) -> bool:
        return self.lease_until is not None and now < self.lease_until
