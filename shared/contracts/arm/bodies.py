"""Bodies of ARM writes: what a request may say of a resource, and what the resource is to become. Pure.

Azure Resource Manager RPC, "Put Resource" and "Patch Resource"; the envelope is that of a tracked resource.
"""

from collections.abc import Mapping
from typing import Any, cast

from pydantic import BaseModel

from shared.actions.arm.handlers import fits
from shared.actions.arm.models import PROVISIONING_STATE
from shared.actions.arm.resource import ArmResource
from shared.actions.models import read_only_names
from shared.contracts.arm.names import check_location, location_name
from shared.contracts.arm.tags import merged_tags, replaced_tags
from shared.errors import ErrorDetail, RequestError, does_not_fit
from shared.misfits import validated
from shared.resources.model import Body, Resource, ResourceKey

_MEMBERS = ("id", "name", "type", "location", "tags", "properties", "systemData")

_MEMBERS_OF_OTHERS = frozenset(
    {"etag", "extendedLocation", "identity", "kind", "managedBy", "plan", "placement", "scale", "sku", "zones"}
)
"""What other resources have beside these: clients with one model for all write `null` where there is nothing."""

_Json = dict[str, Any]


def put_body(
    resource: ArmResource, key: ResourceKey, raw: Mapping[str, Any], stored: Resource | None, *, replaces: bool
) -> Body:
    """What a PUT makes of the resource; `stored` is what is there.

    Azure/typespec-azure: `ArmResourceCreateOrReplaceAsync` resets what the request leaves out,
    `ArmResourceCreateOrUpdateAsync` keeps it. Read-only properties keep their values in both.
    """
    location, given = _envelope(resource, key, raw, stored)
    if stored is None and location is None:
        raise _refused("MissingField", "location", "A new resource needs a location.", code="LocationRequired")
    kept = {} if replaces or stored is None else _writable(resource, stored)
    properties = _properties(resource, _merged(kept, given or {}), stored)
    keeps_tags = "tags" not in raw and not replaces
    tags = stored.body.tags if stored is not None and keeps_tags else replaced_tags(raw.get("tags"))
    return _sized(Body(location=stored.body.location if stored else location or "", tags=tags, properties=properties))


def patch_body(resource: ArmResource, key: ResourceKey, raw: Mapping[str, Any], stored: Resource) -> Body:
    """What a PATCH makes of the resource: a JSON merge (RFC 7396) of its tags and properties.

    The whole envelope may come along: Microsoft's ARM client sends `tags` together with `location`.
    """
    _, given = _envelope(resource, key, raw, stored)
    properties = dict(stored.body.properties)
    if "properties" in raw:
        merged = _merged(_writable(resource, stored), given) if given is not None else {}
        properties = _properties(resource, merged, stored)
    tags = merged_tags(stored.body.tags, raw["tags"]) if "tags" in raw else stored.body.tags
    return _sized(Body(location=stored.body.location, tags=tags, properties=properties))


def _envelope(
    resource: ArmResource, key: ResourceKey, raw: Mapping[str, Any], stored: Resource | None
) -> tuple[str | None, _Json | None]:
    """The location and the writable properties that a request gives, everything else checked.

    Read-only and immutable members are ignored where they are null or repeat what is stored, and 400 where they differ.
    A null says as much as nothing (Azure REST API Guidelines: as a field that is not present). So does `systemData`,
    which ARM sends in a header (RPC, "System Metadata for all Azure resources"): every write makes a client's copy old.
    """
    for name, value in raw.items():
        if name not in _MEMBERS and not (value is None and name in _MEMBERS_OF_OTHERS):
            raise _refused("UnknownField", name, f"A resource has {', '.join(_MEMBERS)}.")
    fixed = {"id": key.id, "name": key.name, "type": resource.full_type}
    for name, value in fixed.items():
        if raw.get(name) is not None and str(raw[name]).lower() != value.lower():
            raise _refused("ReadOnly", name, f"{name} is what the URL says; leave it out.")
    given: Any = raw.get("properties")
    if given is not None and not isinstance(given, dict):
        raise _refused("InvalidValue", "properties", "properties is an object.")
    return _location(resource, raw, stored), _without_read_only(resource, cast(_Json | None, given), stored)


def _location(resource: ArmResource, raw: Mapping[str, Any], stored: Resource | None) -> str | None:
    given = raw.get("location")
    if given is None:
        return None
    if not isinstance(given, str):
        raise _refused("InvalidValue", "location", "location is a string.")
    if stored is None:
        check_location(given, resource.locations)
    elif location_name(given) != location_name(stored.body.location):
        message = f"The resource is in {stored.body.location!r} and cannot move; make another one there."
        raise _refused("ReadOnly", "location", message, code="InvalidResourceLocation")
    return given


def _without_read_only(resource: ArmResource, given: _Json | None, stored: Resource | None) -> _Json | None:
    """ARM RPC, "provisioningState": a client's value that is the current one is ignored, another is 400.

    The same goes for the model's own read-only properties.
    """
    if given is None:
        return None
    current = {**stored.body.properties, PROVISIONING_STATE: stored.state} if stored else {}
    rest = dict(given)
    for name in (PROVISIONING_STATE, *read_only_names(resource.properties)):
        if rest.pop(name, None) not in (None, current.get(name)):
            raise _refused("ReadOnly", f"properties.{name}", f"{name} is set by the provider; leave it out.")
    return rest


def _writable(resource: ArmResource, stored: Resource) -> _Json:
    names = read_only_names(resource.properties)
    return {name: value for name, value in stored.body.properties.items() if name not in names}


def _properties(resource: ArmResource, given: _Json, stored: Resource | None) -> _Json:
    """The given properties checked by the model, with the stored values of the read-only ones."""
    try:
        model: BaseModel = validated(resource.properties, given)
    except RequestError as error:
        raise _below_properties(error) from None
    names = read_only_names(resource.properties)
    checked = model.model_dump(mode="json", by_alias=True, exclude_none=True)
    kept = stored.body.properties if stored else {}
    return {n: v for n, v in checked.items() if n not in names} | {n: v for n, v in kept.items() if n in names}


def _merged(target: Mapping[str, Any], patch: Mapping[str, Any]) -> _Json:
    """RFC 7396: null removes, an object merges, all else replaces."""
    result = dict(target)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            old = result.get(name)
            result[name] = _merged(cast(_Json, old) if isinstance(old, dict) else {}, cast(_Json, value))
        else:
            result[name] = value
    return result


def _sized(body: Body) -> Body:
    if not fits({"tags": body.tags, "properties": body.properties}):
        raise RequestError(413, "ResourceTooLarge", "The resource has more than 30 KiB.")
    return body


def _below_properties(error: RequestError) -> RequestError:
    return does_not_fit(
        ErrorDetail(d.code, d.message, f"properties.{d.target}" if d.target else "properties") for d in error.details
    )


def _refused(detail_code: str, target: str, message: str, *, code: str = "InvalidInput") -> RequestError:
    details = (ErrorDetail(detail_code, message, target),)
    return RequestError(400, code, message, target=target, details=details)
