"""The record of an operation: plain values, no I/O.

Times are aware UTC datetimes. A record is never changed in place: the lifecycle returns a new one.
"""

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from shared.errors import ErrorBody
from shared.frozen import frozen
from shared.model.attempts import Attempts
from shared.model.ids import Locator

SCHEMA_VERSION = 3
"""Of what is stored: names of tables and columns, and what they hold. A store of another number is refused."""


class Status(StrEnum):
    """Words on the wire and in storage, never renamed (Azure REST API Guidelines, "The Status Monitor Resource")."""

    NOT_STARTED = "NotStarted"
    """Recorded; no attempt has held it yet."""
    RUNNING = "Running"
    """An attempt holds it under a lease; or, without a lease, the next attempt is waited for."""
    CANCELING = "Canceling"
    """Asked to stop while an attempt held it."""
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELED = "Canceled"

    @property
    def is_terminal(self) -> bool:
        return self in TERMINAL


TERMINAL = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELED})


@frozen
class Payload:
    """An input or a result: inline text up to 30 KiB, otherwise the name of a blob. `size` in bytes."""

    content_type: str
    size: int
    sha256: str
    text: str | None = None
    blob: str | None = None
    file_name: str = ""
    """Of a result that is a file, which is always a blob; any other payload is JSON."""


NO_PAYLOAD = Payload("", 0, "")
"""Of what was read without it, or has none yet."""


@frozen
class Outcome:
    """How an operation ended, stored once and rendered by each profile its own way.

    `status_code`, `headers` and `body` are those of the answer a synchronous call would have had.
    """

    status_code: int
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: Payload | None = None
    error: ErrorBody | None = None


@frozen
class Progress:
    """What a handler reported last. `percent` is 0 to 100."""

    percent: float | None = None
    done: int | None = None
    total: int | None = None
    message: str | None = None
    data: Any = None


WAITING_FOR_RETRY = "retry"
"""In `Operation.waiting_for`: the last attempt has failed."""
WAITING_FOR_TIME = "time"
"""There: its caller, or its handler, has named a time."""

CONDITION = "condition"
"""In `Operation.profile_state`, a hash of the condition of the request that started it, where it had one."""
RESULT = "result"
"""There, `link` where its monitors leave the result out and name where it lies."""
LINK = "link"
DELEGATION = "delegation"
"""There, until the work has been delegated: all that doing it again takes."""


class StartingRequest(Protocol):
    """What is known of the request that starts an operation, before and after."""

    @property
    def owner(self) -> str: ...
    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def api_version(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def profile_state(self) -> Mapping[str, Any]: ...


class RequestIdentity(NamedTuple):
    """What makes a write of a resource the same request as an earlier one of the same caller."""

    owner: str
    method: str
    path: str
    """In lower case: a lock compares resources without case."""
    api_version: str
    fingerprint: str
    condition: str
    """A hash of `If-Match` and `If-None-Match`; empty where there was neither."""

    @classmethod
    def of(cls, request: StartingRequest) -> "RequestIdentity":
        return cls(
            owner=request.owner,
            method=request.method,
            path=request.path.lower(),
            api_version=request.api_version,
            fingerprint=request.fingerprint,
            condition=request.profile_state.get(CONDITION, ""),
        )


def instance_id(run_id: str, generation: int) -> str:
    """The engine's name for this generation: Durable refuses a start on a live id and replaces a finished one."""
    return f"{run_id}.{generation}"


@frozen(kw_only=True)
class Operation:
    """One run of an action."""

    id: str
    owner: str
    run_id: str
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
    profile_state: dict[str, Any] = field(default_factory=dict[str, Any])
    """What the profile has to remember of the start: small JSON values, never a secret."""
    traceparent: str = ""
    """The span that started it (W3C Trace Context), which all attempts continue; empty where nothing is traced."""
    labels: tuple[str, ...] = ()
    """Given at the start, to find it by in lists; at most five."""
    retry_of: str = ""
    """The id of its owner's operation that it runs again."""
    input_version: int = 1
    """Of the action's input model, as it was declared when the operation was started."""
    misfit_since: datetime | None = None
    """When an attempt first found that the stored input does not fit the action."""
    listed_for_all: bool = False
    """Whether it has a row for lists over all owners."""
    external: bool = False
    """Delegated to another system (`shared.operations.external`): never claimed, no lease, only deadlines."""
    secret_hash: str = ""
    """SHA-256 in hex of each secret that lets another system update it, the latest last, separated by spaces; empty in
    what was read for a monitor."""
    status: Status = Status.NOT_STARTED
    generation: int = 1
    """Counts engine starts; an orchestration of an older generation does nothing."""
    attempt: int = 0
    failures: int = 0
    """Attempts that failed."""
    losses: int = 0
    """Attempts whose lease ran out."""
    forgiven: int = 0
    """Failures and losses before the last changed checkpoint, which count no more; the next claim is attempt
    `forgiven + failures + losses + 1`."""
    attempts: Attempts = ()
    """The last failures and losses, and the latest attempt."""
    fence: int = 0
    """Counts claims; guards every write of an attempt."""
    holder: str = ""
    """Random id of the claim that holds the lease."""
    started: datetime | None = None
    ended: datetime | None = None
    scheduled: datetime | None = None
    """When its caller has asked for its first attempt; None for at once."""
    not_before: datetime | None = None
    waiting_for: str = ""
    """What the next attempt waits for (`WAITING_FOR_...`); empty where it waits for nothing but its turn."""
    waiting_since: datetime | None = None
    look_at: datetime | None = None
    """Set while it is parked: it has no orchestration, and is looked at then."""
    lease_until: datetime | None = None
    """Whether it still counts: `shared.model.leases`."""
    attempt_deadline: datetime | None = None
    dispatch_failures: int = 0
    """Tries in a row that failed around the handler, which neither the handler nor the store is to blame for."""
    unknown_since: datetime | None = None
    """When an instance first found that it has no such action."""
    expires: datetime | None = None
    saved: Payload | None = None
    """The last checkpoint, which the next slice goes on from; None in what was read for a monitor."""
    saved_fence: int = 0
    """The claim that has stored it."""
    idle_slices: int = 0
    """Slices in a row that ended at once, on purpose, without a new checkpoint."""
    steps: int = 0
    """Rows of steps that are done once."""
    purged: int = 0
    """Generations, the first ones, of which the engine keeps nothing any more."""
    progress: Progress | None = None
    outcome: Outcome | None = None
    last_error: ErrorBody | None = None
    """Why the last attempt came to nothing, while the next one is waited for."""
    etag: str = ""

    @property
    def may_begin(self) -> datetime:
        """From when on it is worked on: its caller may have asked for a later time than at once."""
        return max(self.created, self.scheduled or self.created)

    @property
    def is_waiting(self) -> bool:
        """Whether no attempt holds it and one is to come."""
        return not self.status.is_terminal and self.lease_until is None and not self.external

    @property
    def is_parked(self) -> bool:
        """Whether it waits without an orchestration, until `look_at`."""
        return self.look_at is not None

    @property
    def locator(self) -> Locator:
        return Locator.of(self.owner, self.id)

    @property
    def instance_id(self) -> str:
        return instance_id(self.run_id, self.generation)

    @property
    def is_undelegated(self) -> bool:
        """Whether another system may not have been given the work yet that it is to do."""
        return self.status is Status.NOT_STARTED and DELEGATION in self.profile_state

    @property
    def links_result(self) -> bool:
        """Whether its monitors name where the result lies, and do not carry it."""
        return self.profile_state.get(RESULT) == LINK

    @property
    def file(self) -> Payload | None:
        """Its result, where that is a file."""
        body = self.outcome.body if self.outcome else None
        return body if body is not None and body.file_name else None

    @property
    def identity(self) -> RequestIdentity:
        """Of the request that started it."""
        return RequestIdentity.of(self)
