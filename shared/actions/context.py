"""What the code of an action is given beside its input: who asks, and what the app has to offer.

Context          everywhere: storage, settings, clock, ARM resources, operations that are delegated
├── RequestContext   in a request: reads, calls, preconditions, hooks that make the first answer, entity sources
├── ActionContext    in an attempt: progress, cancellation, locks
└── RemovalContext   once an operation was removed: which one it was
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import urlencode

from shared.actions.policies import Duration
from shared.actions.progress import cut_to_fit
from shared.errors import ActionCanceled
from shared.model.ids import Locator
from shared.model.operation import Operation, Progress
from shared.model.timing import Clock
from shared.model.updates import NO_REQUEST, CreatedOperation, Origin, Update
from shared.settings import Settings
from shared.storage.ports import Storage


class Attempt(Protocol):
    """The running attempt behind a context. Both members may be used from any thread."""

    @property
    def cancel_requested(self) -> bool: ...

    def report(self, progress: Progress) -> None: ...


class LockTable(Protocol):
    """One operation at a time on a resource of the data plane (`exclusive=`), for handlers that write several."""

    async def take(self, resource: str, holder: Locator, run_id: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceView:
    """An ARM resource as a reader is shown it."""

    id: str
    """As its creator wrote it."""
    location: str
    tags: Mapping[str, str]
    properties: Mapping[str, Any]
    """By their names on the wire, without the provisioningState."""
    provisioning_state: str


class ResourceTable(Protocol):
    """The ARM resources of the app."""

    async def get(self, resource_id: str) -> ResourceView | None:
        """The resource with this ARM id, compared without case; None where there is none, or where that is no id."""
        ...

    async def save_properties_of(self, resource_id: str, holder: Locator, properties: Mapping[str, Any]) -> bool: ...


class DelegatedOperations(Protocol):
    """Operations that another system works on (docs/external.md has all arguments and errors)."""

    async def create(
        self,
        *,
        kind: str,
        owner: str,
        operation_id: str | None = None,
        run_id: str | None = None,
        retry_after: int = 5,
        keep: Duration = "24h",
        deadline: Duration | None = None,
        resource: str = "",
        origin: Origin = NO_REQUEST,
    ) -> CreatedOperation:
        """Record an operation of `kind`, NotStarted, for `owner`; nothing runs here."""
        ...

    async def update(self, owner: str, operation_id: str, update: Update) -> Operation:
        """Move it on; the record as it is then."""
        ...

    async def authorize(self, operation_id: str, secret: str) -> Operation:
        """The operation that `secret` belongs to. Raises RequestError 404."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What an app offers to the code of its actions: one per app, made when it is first needed."""

    settings: Settings
    storage: Storage
    clock: Clock
    locks: LockTable
    resources: ResourceTable
    external: DelegatedOperations


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Who asks, and what the app offers."""

    owner: str
    """The principal that asks, or that started the operation; empty where callers share one key."""
    base_url: str
    """The public address of this app, without a slash at its end."""
    api_version: str
    services: Services = field(repr=False)

    @property
    def storage(self) -> Storage:
        return self.services.storage

    @property
    def settings(self) -> Settings:
        return self.services.settings

    @property
    def clock(self) -> Clock:
        return self.services.clock

    @property
    def resources(self) -> ResourceTable:
        return self.services.resources

    @property
    def external(self) -> DelegatedOperations:
        return self.services.external

    def link(self, path: str, **query: str) -> str:
        """An absolute, self-contained URL into this app, for `nextLink` and the like."""
        version = {"api-version": self.api_version} if self.api_version else {}
        return f"{self.base_url}/{path}?{urlencode({**version, **query})}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestContext(Context):
    """Of code that runs inside a request, before its answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovalContext(Context):
    """Of a hook that runs once an operation was removed, by DELETE or because its time was over."""

    operation_id: str
    """Another operation may have this id by now; the `run_id` is never used again."""
    run_id: str
    created: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionContext(Context):
    """One attempt, as its handler sees it. Safe to use from the handler's own thread."""

    operation_id: str
    run_id: str
    """The same over all attempts of one operation and never used again: derive names of what you create from it."""
    action: str
    attempt: int
    """1 for the first."""
    deadline: datetime
    """When this attempt is stopped (aware, UTC)."""
    logger: logging.LoggerAdapter[logging.Logger]
    """Puts the operation's id, action and attempt before each line."""
    attempt_state: Attempt = field(repr=False)
    _logged_mistakes: set[str] = field(default_factory=set[str], init=False, repr=False, compare=False)

    async def lock(self, resource: str) -> None:
        """Have `resource`, such as `book/moby-dick`, written by this operation alone until it has ended.

        Nothing has to be released. Raises RequestError 409 OperationInProgress while another operation holds it.
        """
        await self.services.locks.take(resource, Locator.of(self.owner, self.operation_id), self.run_id)

    async def save_properties(self, resource_id: str, properties: Mapping[str, Any]) -> bool:
        """Change properties of an ARM resource that this operation works on; False where it does so no more."""
        holder = Locator.of(self.owner, self.operation_id)
        return await self.services.resources.save_properties_of(resource_id, holder, properties)

    @property
    def cancel_requested(self) -> bool:
        """Whether the operation was asked to stop, or this attempt is over its deadline."""
        return self.attempt_state.cancel_requested

    def raise_if_canceled(self) -> None:
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
        500 characters; `data` is any JSON value of up to 4 KiB, for it is stored in the record.

        A mistake here ends no work: a number out of range is moved into it, what is no number, or no JSON of that
        size, is left out. The log says so, once for each of the parameters.
        """
        progress, mistakes = cut_to_fit(percent=percent, done=done, total=total, message=message, data=data)
        for name in mistakes.keys() - self._logged_mistakes:
            self._logged_mistakes.add(name)
            self.logger.warning("Progress does not fit and was cut: %s", mistakes[name])
        self.attempt_state.report(progress)
