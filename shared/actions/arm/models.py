"""The envelope of an ARM tracked resource, generic over its properties.

Azure/typespec-azure, Azure.ResourceManager: `TrackedResource<Properties>` and `SystemData`.
"""

from datetime import datetime
from typing import Generic, TypeVar

from pydantic import BaseModel, Field

from shared.actions.models import Model

P = TypeVar("P", bound=BaseModel)

PROVISIONING_STATE = "provisioningState"
"""The property that every resource has, and that no properties model declares."""


class SystemData(Model):
    """Who made and last changed a resource, and when. Who is known only where callers sign in."""

    created_by: str | None = None
    created_by_type: str | None = None
    created_at: datetime | None = None
    last_modified_by: str | None = None
    last_modified_by_type: str | None = None
    last_modified_at: datetime | None = None


class ArmTrackedResource(Model, Generic[P]):
    """What a handler is given and returns: `Shelf = ArmTrackedResource[ShelfProperties]`.

    `tags` and `properties` are the handler's to change; the rest names the resource and stays.
    """

    id: str
    name: str
    type: str
    location: str
    tags: dict[str, str] = Field(default_factory=dict[str, str])
    properties: P
    system_data: SystemData | None = None
