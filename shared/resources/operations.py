"""What an operation on ARM resources remembers of its start, and the roll-forward after its end."""

from collections.abc import Mapping, Sequence
from typing import Any

from shared.actions.context import ResourceTable, ResourceView
from shared.model.ids import Locator
from shared.model.operation import Operation
from shared.resources.model import ResourceKey
from shared.resources.service import Resources

PROFILE = "arm"
"""Stored with every operation on ARM resources: never renamed."""


def profile_state(*, location: str, also_locked: Sequence[ResourceKey]) -> dict[str, Any]:
    """`location` is where the monitors lie; the resource itself is `Operation.resource`."""
    return {"location": location, "also": [key.id for key in also_locked]}


def location_of(operation: Operation) -> str:
    """Where the monitors of an operation on ARM resources lie."""
    return str(operation.profile_state["location"])


def is_at(operation: Operation, *, namespace: str, location: str) -> bool:
    """Whether this is an operation of that provider at that location; both compared without case."""
    if operation.profile != PROFILE:
        return False
    key = ResourceKey.parse(operation.resource)
    return key.namespace.lower() == namespace.lower() and location_of(operation) == location


def held(operation: Operation) -> list[ResourceKey]:
    """Every resource that the operation has taken."""
    return [ResourceKey.parse(id) for id in (operation.resource, *operation.profile_state.get("also", ()))]


async def roll_forward(resources: Resources, operation: Operation) -> None:
    """What follows the end of an operation; nothing for one that is not on ARM resources."""
    if operation.profile == PROFILE and operation.status.is_terminal:
        await resources.roll_forward(held(operation), operation)


class ResourcesById(ResourceTable):
    """ARM resources as the code of actions reads and changes them: by ARM id."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    async def get(self, resource_id: str) -> ResourceView | None:
        try:
            key = ResourceKey.parse(resource_id)
        except ValueError:
            return None
        found = (await self._resources.find(key)).resource
        if found is None:
            return None
        return ResourceView(
            id=found.key.id,
            location=found.body.location,
            tags=found.body.tags,
            properties=found.body.properties,
            provisioning_state=found.state,
        )

    async def save_properties_of(self, resource_id: str, holder: Locator, properties: Mapping[str, Any]) -> bool:
        """Raises ValueError for what is no ARM id."""
        return await self._resources.save_properties(ResourceKey.parse(resource_id), holder, dict(properties))
