"""What an operation on ARM resources remembers of its start, and the roll-forward after its end."""

from collections.abc import Sequence
from typing import Any

from shared.operations.model import Operation
from shared.resources.model import ResourceKey
from shared.resources.service import Resources

PROFILE = "arm"
"""Stored with every operation on ARM resources: never renamed."""


def facts(*, location: str, also_held: Sequence[ResourceKey]) -> dict[str, Any]:
    """`location` is where the monitors lie; the resource itself is `Operation.resource`."""
    return {"location": location, "also": [key.id for key in also_held]}


def is_at(operation: Operation, *, namespace: str, location: str) -> bool:
    """Whether this is an operation of that provider at that location; both compared without case."""
    if operation.profile != PROFILE:
        return False
    key = ResourceKey.parse(operation.resource)
    return key.namespace.lower() == namespace.lower() and operation.facts.get("location") == location


def held(operation: Operation) -> list[ResourceKey]:
    """Every resource that the operation has taken."""
    return [ResourceKey.parse(id) for id in (operation.resource, *operation.facts.get("also", ()))]


async def roll_forward(resources: Resources, operation: Operation) -> None:
    """What follows the end of an operation; nothing for one that is not on ARM resources."""
    if operation.profile == PROFILE and operation.status.is_terminal:
        await resources.roll_forward(held(operation), operation)
