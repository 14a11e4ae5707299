"""What the code of an action is given beside its input: who asks, and what the app has to offer.

Context          everywhere: storage, settings, clock, ARM resources, operations that are delegated
├── RequestContext   in a request: reads, calls, preconditions, hooks that make the first answer, entity sources
├── AttemptContext   in an attempt (`shared.actions.attempt_context`): progress, cancellation, checkpoints, steps, locks
│   ├── ActionContext      of an async handler
│   └── SyncActionContext  of a def handler
└── RemovalContext   once an operation was removed: which one it was
"""

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import urlencode

from shared.actions.policies import Duration
from shared.frozen import frozen
from shared.model.ids import Locator
from shared.model.operation import Operation
from shared.model.timing import Clock
from shared.model.updates import NO_REQUEST, CreatedOperation, Origin, Update
from shared.settings import Settings
from shared.storage.ports import Storage


class LockTable(Protocol):
    """One operation at a time on a resource of the data plane (`exclusive=`), for handlers that write several."""

    async def take(self, resource: str, holder: Locator, run_id: str) -> None: ...


@frozen(kw_only=True)
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


@frozen(kw_only=True)
class Services:
    """What an app offers to the code of its actions: one per app, made when it is first needed."""

    settings: Settings
    storage: Storage
    clock: Clock
    locks: LockTable
    resources: ResourceTable
    external: DelegatedOperations


@frozen(kw_only=True)
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


@frozen(kw_only=True)
class RequestContext(Context):
    """Of code that runs inside a request, before its answer."""


@frozen(kw_only=True)
class RemovalContext(Context):
    """Of a hook that runs once an operation was removed, by DELETE or because its time was over."""

    operation_id: str
    """Another operation may have this id by now; the `run_id` is never used again."""
    run_id: str
    created: datetime
