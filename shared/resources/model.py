"""ARM resources as plain values, no I/O: what a row holds, and what a reader is shown."""

from dataclasses import field
from datetime import datetime
from typing import Any

from shared.actions.arm.resource import Verb
from shared.frozen import frozen

_ID_PARTS = 9


@frozen(kw_only=True)
class ResourceKey:
    """Where a resource is. Compared and stored without case; `id` is written as given."""

    subscription: str
    resource_group: str
    namespace: str
    type: str
    name: str

    @property
    def id(self) -> str:
        """The ARM id."""
        group = f"/subscriptions/{self.subscription}/resourceGroups/{self.resource_group}"
        return f"{group}/providers/{self.namespace}/{self.type}/{self.name}"

    @classmethod
    def parse(cls, id: str) -> "ResourceKey":
        """Inverse of `id`, its fixed words in any case. Raises ValueError for what is no ARM id of a top-level type."""
        parts = id.split("/")
        fixed = {1: "subscriptions", 3: "resourcegroups", 5: "providers"}
        if len(parts) != _ID_PARTS or parts[0] or not all(parts[1:]):
            raise ValueError(f"not the ARM id of a resource: {id[:200]!r}")
        if any(parts[at].lower() != word for at, word in fixed.items()):
            raise ValueError(f"not the ARM id of a resource: {id[:200]!r}")
        return cls(subscription=parts[2], resource_group=parts[4], namespace=parts[6], type=parts[7], name=parts[8])

    @property
    def owner(self) -> str:
        """Who owns the operations on it: the subscription."""
        return owner_of(self.subscription)

    @property
    def partition(self) -> str:
        return partition_of(self.subscription, self.namespace, self.type)

    @property
    def row_key(self) -> str:
        """One resource group's rows are a range: `!` is in no group's name and sorts below all that is."""
        return f"{self.resource_group}!{self.name}".lower()


def owner_of(subscription: str) -> str:
    return f"arm:{subscription.lower()}"


def partition_of(subscription: str, namespace: str, type: str) -> str:
    return f"{subscription}!{namespace}!{type}".lower()


@frozen(kw_only=True)
class Body:
    """What is a caller's and the handler's of a resource, by wire names."""

    location: str
    tags: dict[str, str] = field(default_factory=dict[str, str])
    properties: dict[str, Any] = field(default_factory=dict[str, Any])
    system_data: dict[str, Any] = field(default_factory=dict[str, Any])


@frozen(kw_only=True)
class Lock:
    """The operation that holds a resource. `desired` is what it makes of the resource, where it makes something."""

    holder: str
    """Text of the operation's locator. Ids of ARM operations are random, so it names one record for ever."""
    verb: Verb
    since: datetime
    desired: Body | None = None


@frozen(kw_only=True)
class ResourceRow:
    """A resource as stored. Without a `body` it does not exist yet: a creation holds its name."""

    key: ResourceKey
    body: Body | None = None
    state: str = ""
    """The provisioningState it had when it was last settled: Succeeded, Failed or Canceled."""
    lock: Lock | None = None
    etag: str = ""


@frozen(kw_only=True)
class Resource:
    """What a reader is shown. `key` is written as the creator wrote it."""

    key: ResourceKey
    body: Body
    state: str
