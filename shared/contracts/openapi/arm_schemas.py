"""The envelope of an ARM resource: as it is shown, as a PUT writes it, as a PATCH changes it."""

from shared.actions.arm import ArmResource
from shared.actions.arm_models import PROVISIONING_STATE, read_only_names
from shared.contracts.openapi.dialect import Json
from shared.contracts.openapi.parts import without_null
from shared.contracts.openapi.schemas import Schemas

SYSTEM_DATA = "arm:systemData"

_STATES = ("Accepted", "Creating", "Updating", "Deleting", "Succeeded", "Failed", "Canceled")
"""What `shared.resources.settle` shows."""

_TAG: Json = {"type": "string", "maxLength": 256}


def resource_schemas(schemas: Schemas, resource: ArmResource) -> tuple[Json, Json, Json]:
    """References to the three; what the service sets is read-only in requests, and refused where it differs."""
    name = resource.properties.__name__.removesuffix("Properties") or resource.type.capitalize()
    state: Json = {"type": "string", "enum": list(_STATES), "readOnly": True}
    # Absent members are left out, never null.
    members = {n: without_null(s) for n, s in schemas.properties(f"out:{resource.full_type}").items()}
    system = {n: without_null(s) for n, s in schemas.properties(SYSTEM_DATA).items()}
    stamped = schemas.add("ArmSystemData", {**schemas.resolved(schemas.of(SYSTEM_DATA)), "properties": system})
    fixed: dict[str, Json] = {
        "id": {"type": "string", "description": "The ARM id.", "readOnly": True},
        "name": {"type": "string", "readOnly": True},
        "type": {"type": "string", "readOnly": True},
    }
    location: Json = {"type": "string", "description": "A new resource needs one; it cannot move."}
    if resource.locations is not None:
        location["examples"] = list(resource.locations)
    shown: Json = {
        **fixed,
        "location": location,
        "tags": {"type": "object", "additionalProperties": _TAG},
        "properties": _properties(schemas, f"out:{resource.full_type}", {**members, PROVISIONING_STATE: state}),
        "systemData": {"allOf": [stamped], "readOnly": True},
    }
    written: Json = {
        **fixed,
        "location": location,
        "tags": {"type": ["object", "null"], "additionalProperties": _TAG, "maxProperties": 50},
        "properties": {
            **_properties(schemas, f"in:{resource.full_type}", {PROVISIONING_STATE: state}),
            "additionalProperties": False,
        },
        "systemData": {"allOf": [stamped], "readOnly": True},
    }
    for member in read_only_names(resource.properties):
        written["properties"]["properties"][member]["readOnly"] = True
    nullable_tag = {**_TAG, "type": ["string", "null"], "description": "null removes it."}
    patched: Json = {**written, "tags": {**written["tags"], "additionalProperties": nullable_tag}}
    required = ["id", "name", "type", "location", "tags", "properties"]
    text = f"A resource of type {resource.full_type}."
    return (
        schemas.add(name, {**_object(name, shown, text), "required": required, "x-ms-azure-resource": True}),
        schemas.add(f"{name}Request", {**_object(f"{name}Request", written, text), "additionalProperties": False}),
        schemas.add(f"{name}Update", {**_object(f"{name}Update", patched, text), "additionalProperties": False}),
    )


def _object(title: str, properties: dict[str, Json], description: str) -> Json:
    return {"type": "object", "title": title, "description": description, "properties": properties}


def _properties(schemas: Schemas, key: str, more: dict[str, Json]) -> Json:
    """The properties model's schema with the state that every resource has."""
    schema = schemas.resolved(schemas.of(key))
    schema.pop("title", None)
    schema["properties"] = {**schema.get("properties", {}), **more}
    return schema
