"""The envelope of an ARM resource: as it is shown, as a PUT writes it, as a PATCH changes it."""

from datetime import datetime
from typing import Any, NotRequired

from typing_extensions import TypedDict  # pydantic reads it from there below Python 3.12

from shared.actions.arm.models import PROVISIONING_STATE
from shared.actions.arm.resource import ArmResource
from shared.actions.models import read_only_names
from shared.contracts.openapi.dialect import Json
from shared.contracts.openapi.parts import without_null
from shared.contracts.openapi.schemas import Schemas
from shared.contracts.openapi.shapes import ErrorInfo, Id, Percent
from shared.model.operation import Status

SYSTEM_DATA = "arm:systemData"

_STATES = ("Accepted", "Creating", "Updating", "Deleting", "Succeeded", "Failed", "Canceled")
"""What `shared.resources.settle` shows."""

_TAG: Json = {"type": "string", "maxLength": 256}


class ArmOperationStatus(TypedDict):
    """ARM's operation resource; `properties` holds the result once it has succeeded."""

    id: str
    name: Id
    resourceId: str
    status: Status
    startTime: datetime
    endTime: NotRequired[datetime]
    percentComplete: NotRequired[Percent]
    notBefore: NotRequired[datetime]
    waitingFor: NotRequired[str]
    waitingSince: NotRequired[datetime]
    properties: NotRequired[Any]
    error: NotRequired[ErrorInfo]


def page(schemas: Schemas, shown: Json) -> Json:
    """A page of resources; the reference to it."""
    members: Json = {
        "value": {"type": "array", "items": shown},
        "nextLink": {"type": "string", "format": "uri"},
    }
    name = f"{shown['$ref'].rpartition('/')[2]}List"
    return schemas.add(name, {"type": "object", "properties": members, "required": ["value"]})


def resource_schemas(schemas: Schemas, resource: ArmResource) -> tuple[Json, Json, Json]:
    """References to the three; what the service sets is read-only in requests, and refused where it differs."""
    name = resource.properties.__name__.removesuffix("Properties") or resource.type.capitalize()
    state: Json = {"type": "string", "enum": list(_STATES), "readOnly": True}
    # Absent members are left out, never null.
    members = {n: without_null(s) for n, s in schemas.properties(f"out:{resource.full_type}").items()}
    location: Json = {"type": "string", "description": "A new resource needs one; it cannot move."}
    if resource.locations is not None:
        location["examples"] = list(resource.locations)
    tags: Json = {"type": ["object", "null"], "additionalProperties": _TAG, "maxProperties": 50}
    nullable_tag = {**_TAG, "type": ["string", "null"], "description": "null removes it."}
    properties = _properties(schemas, f"in:{resource.full_type}", {PROVISIONING_STATE: state})
    properties["additionalProperties"] = False
    for member in read_only_names(resource.properties):
        properties["properties"][member]["readOnly"] = True
    shown: Json = {
        "id": {"type": "string", "description": "The ARM id.", "readOnly": True},
        "name": {"type": "string", "readOnly": True},
        "type": {"type": "string", "readOnly": True},
        "location": location,
        "tags": {"type": "object", "additionalProperties": _TAG},
        "properties": _properties(schemas, f"out:{resource.full_type}", {**members, PROVISIONING_STATE: state}),
        "systemData": {"allOf": [_system_data(schemas)], "readOnly": True},
    }
    put = {**shown, "tags": tags, "properties": properties}
    patch = {**put, "tags": {**tags, "additionalProperties": nullable_tag}}

    def envelope(title: str, members: Json, **more: Any) -> Json:
        text = f"A resource of type {resource.full_type}."
        return schemas.add(
            title, {"type": "object", "title": title, "description": text, "properties": members, **more}
        )

    required = ["id", "name", "type", "location", "tags", "properties"]
    return (
        envelope(name, shown, required=required, **{"x-ms-azure-resource": True}),
        envelope(f"{name}Request", put, additionalProperties=False),
        envelope(f"{name}Update", patch, additionalProperties=False),
    )


def _system_data(schemas: Schemas) -> Json:
    members = {n: without_null(s) for n, s in schemas.properties(SYSTEM_DATA).items()}
    return schemas.add("ArmSystemData", {**schemas.resolved(schemas.of(SYSTEM_DATA)), "properties": members})


def _properties(schemas: Schemas, key: str, more: dict[str, Json]) -> Json:
    """The properties model's schema with the state that every resource has."""
    schema = schemas.resolved(schemas.of(key))
    schema.pop("title", None)
    schema["properties"] = {**schema.get("properties", {}), **more}
    return schema
