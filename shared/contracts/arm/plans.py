"""A write that may start: what is there, what it is to become, what it holds and what its handler is given. Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel

from shared.actions.arm.resource import ArmResource, ArmVerb, Verb
from shared.contracts.arm.answers import resource_json
from shared.contracts.arm.bodies import patch_body, put_body
from shared.contracts.arm.names import location_name
from shared.contracts.caller import Caller
from shared.errors import RequestError
from shared.frozen import frozen, replace
from shared.model.ids import Locator
from shared.model.operation import Operation, RequestIdentity
from shared.resources.model import Body, Lock, Resource, ResourceKey, ResourceRow
from shared.resources.settle import ACCEPTED

LockedRow = tuple[ResourceKey, ResourceRow]
"""Another resource that an action holds: its key as its creator wrote it, and the row to take."""


@frozen(kw_only=True)
class WriteRequest:
    """A write as it came: everything of it that can be checked without looking at what is there."""

    resource: ArmResource
    verb: ArmVerb
    key: ResourceKey
    locator: Locator
    """Of the operation that is to be."""
    body: Mapping[str, Any]
    size: int
    """Bytes of the body as it came."""
    headers: Mapping[str, str]
    caller: Caller
    """Who is signed in; empty where callers share a key."""
    identity: RequestIdentity
    labels: tuple[str, ...]
    not_before: datetime | None
    """When its operation is to begin at the earliest; None for at once."""
    now: datetime

    def repeats(self, holder: Operation) -> bool:
        """Whether this is the request once more that has started the operation which holds the resource.

        A POST does what it does as often as it is sent.
        """
        return self.verb.verb is not Verb.ACTION and holder.identity == self.identity


@frozen(kw_only=True)
class Plan:
    """`desired` is None where the operation makes nothing of the resource; `row` None where there is no row yet."""

    key: ResourceKey
    """As the creator of the resource wrote it."""
    row: ResourceRow | None
    stored: Resource | None
    desired: Body | None
    input: BaseModel
    also: Sequence[LockedRow] = ()

    @property
    def location(self) -> str:
        """Where the monitors of the operation lie, as it is compared."""
        body = self.desired or (self.stored.body if self.stored else None)
        return location_name(body.location) if body else ""

    @property
    def accepted(self) -> Resource | None:
        """What a PUT answers."""
        return Resource(key=self.key, body=self.desired, state=ACCEPTED) if self.desired else None

    @property
    def keys(self) -> list[ResourceKey]:
        """Every resource that the operation holds."""
        return [self.key, *(key for key, _ in self.also)]


def desired_body(write: WriteRequest, key: ResourceKey, stored: Resource | None) -> Body:
    """What a PUT or a PATCH makes of the resource. Raises RequestError 400 or 413."""
    if write.verb.verb is Verb.UPDATE and stored is not None:
        return patch_body(write.resource, key, write.body, stored)
    return put_body(write.resource, key, write.body, stored, replaces=write.verb.replaces)


def locked_rows(write: WriteRequest, plan: Plan) -> list[ResourceRow]:
    """The rows as the operation takes them."""
    lock = Lock(holder=str(write.locator), verb=write.verb.verb, since=write.now, desired=plan.desired)
    # A name that a void lock has left behind is the new creator's to write.
    row = replace(plan.row, key=plan.key) if plan.row else ResourceRow(key=plan.key)
    other = replace(lock, verb=Verb.ACTION, desired=None)
    return [replace(row, lock=lock), *(replace(row, lock=other) for _, row in plan.also)]


def model_of(resource: ArmResource, stored: Resource) -> Any:
    """The resource as handlers see it: without provisioningState."""
    return resource.model.model_validate({**resource_json(stored), "properties": stored.body.properties})


def input_of(write: WriteRequest, resource: Resource, *, request: BaseModel | None = None) -> BaseModel:
    """What the operation stores: the resource as it is to become, and for an action its state and request."""
    model = write.verb.action.input_model
    assert model is not None, "every ARM verb has an input"
    state = resource.state if write.verb.verb is Verb.ACTION else ""
    values: dict[str, Any] = {"resource": model_of(write.resource, resource), "state": state}
    return model.model_validate(values if request is None else {**values, "request": request})


def system_data(stored: Resource | None, *, caller: str, now: datetime) -> dict[str, Any]:
    """Who and when, to the millisecond: JavaScript's dates hold no more. ARM common types, `systemData`."""
    moment = now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    change = {"By": caller, "ByType": "User", "At": moment} if caller else {"At": moment}
    made = {f"created{name}": value for name, value in change.items()}
    if stored is not None:
        made = {n: v for n, v in stored.body.system_data.items() if n.startswith("created")}
    return made | {f"lastModified{name}": value for name, value in change.items()}


def not_found(key: ResourceKey) -> RequestError:
    message = f"There is no {key.namespace}/{key.type} of that name in this resource group."
    return RequestError(404, "ResourceNotFound", message, target=key.id)
