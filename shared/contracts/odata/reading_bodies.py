"""Reading what a request brings: a new entity, the changes of one, the parameters of an action.

OData Protocol 4.01, sections 11.4.2, 11.4.3 and 11.5.5.1; OData JSON Format 4.01, sections 4.5 and 18. Control
information (`@...`, `#...`) is ignored, and so is what a request says of properties that the service sets.
"""

import copy
import functools
import re
from collections.abc import Mapping
from typing import Any, cast

from pydantic import BaseModel, create_model
from pydantic.fields import FieldInfo

from shared.actions.odata.edm import Property, TypeRef
from shared.actions.odata.service import EntitySet, ODataOperation
from shared.contracts.bodies import validated_json
from shared.errors import ErrorDetail, RequestError, does_not_fit

INT64 = range(-(2**63), 2**63)
"""The values of an Edm.Int64."""

_INTEGER = r"-?[0-9]{1,19}"
_BOUND_LINK = ("@odata.bind", "@bind")
_INFINITE: Mapping[str, float] = {"INF": float("inf"), "-INF": float("-inf"), "NaN": float("nan")}


def read_entity(entity_set: EntitySet, body: Mapping[str, Any], *, ieee754: bool = False) -> BaseModel:
    """The entity that a POST brings. `ieee754`: Int64 may come as strings, as `check_json_body` says.

    Raises RequestError 400 InvalidInput that names what is missing, unknown, null or of another type.
    """
    return _valid(entity_set.type.model, _values(entity_set.type.properties, body, ieee754, ""))


def read_changes(entity_set: EntitySet, body: Mapping[str, Any], *, ieee754: bool = False) -> dict[str, Any]:
    """What a PATCH changes: validated values by Python names, of the properties that were sent.

    The key is ignored, as section 11.4.3 demands. Each value is held against the type and the constraints of its field;
    what a model's own validators say of several fields is for the one who has the whole entity. Errors as above.
    """
    values = _values(entity_set.type.properties, body, ieee754, "")
    values.pop(entity_set.key.name, None)
    changes = _valid(_changes_of(entity_set.type.model), values)
    return {name: getattr(changes, name) for name in changes.model_fields_set}


def read_parameters(
    operation: ODataOperation, body: Mapping[str, Any], bound_key: str | None = None, *, ieee754: bool = False
) -> BaseModel | None:
    """The input of an action: its parameters, and the key of the entity it is called on.

    A parameter that may be null is null where it is left out and has no default (section 11.5.5.1). Errors as above.
    """
    return input_of(operation, _values(operation.parameters, body, ieee754, ""), bound_key)


def input_of(operation: ODataOperation, values: Mapping[str, Any], bound_key: str | None) -> BaseModel | None:
    """The input model of an operation from the JSON of its parameters. Raises RequestError 400 InvalidInput."""
    model, parameters = operation.declared.input_model, operation.parameters
    if unknown := [name for name in values if name not in parameters]:
        raise does_not_fit(ErrorDetail("UnknownField", f"{operation.name} has no such parameter", n) for n in unknown)
    if model is None:
        return None
    absent = [p.name for p in parameters.values() if p.required and p.type.nullable and p.name not in values]
    complete = {**dict.fromkeys(absent), **values}
    if bound_key is not None and operation.entity_set is not None:
        complete[operation.entity_set.key.name] = bound_key
    return _valid(model, complete)


def _values(properties: Mapping[str, Property], body: Mapping[str, Any], ieee754: bool, path: str) -> dict[str, Any]:
    """The members that say something; unknown ones stay, so that the model refuses them by name."""
    values: dict[str, Any] = {}
    for name, value in body.items():
        property = properties.get(name)
        if property is None and _is_control_information(name):
            continue
        if property is None:
            values[name] = value
        elif not property.computed:
            values[name] = _value(value, property.type, ieee754, f"{path}{name}")
    return values


def _is_control_information(name: str) -> bool:
    """Also what can be called, as full metadata tell it; not a link to bind, which would ask for something."""
    return name.startswith("#") or ("@" in name and not name.endswith(_BOUND_LINK))


def _value(value: Any, type: TypeRef, ieee754: bool, path: str) -> Any:
    # What has another shape than the type stays as it is: the walk is as deep as the types, and the model refuses it.
    if isinstance(value, list) and type.is_collection:
        items = cast(list[Any], value)
        item = TypeRef(type.name, nullable=type.nullable, structured=type.structured)
        return [_value(each, item, ieee754, f"{path}.{at}") for at, each in enumerate(items)]
    if isinstance(value, dict) and type.structured is not None:
        return _values(type.structured.properties, cast(dict[str, Any], value), ieee754, f"{path}.")
    if type.name == "Edm.Int64":
        if ieee754 and isinstance(value, str) and re.fullmatch(_INTEGER, value):
            value = int(value)
        if isinstance(value, int) and value not in INT64:
            detail = ErrorDetail("InvalidValue", "Input should be an integer of 64 bits", path)
            raise RequestError(400, "InvalidInput", f"The request does not fit: {path}.", details=[detail])
    if type.name == "Edm.Double" and isinstance(value, str):
        return _INFINITE.get(value, value)
    return value


def _valid(model: type[BaseModel], values: Mapping[str, Any]) -> BaseModel:
    try:
        return validated_json(model, values)
    except RecursionError:
        raise RequestError(400, "InvalidJson", "The body is nested too deeply.") from None


@functools.cache
def _changes_of(model: type[BaseModel]) -> type[BaseModel]:
    """The same fields, none of which has to be there."""
    fields: dict[str, Any] = {name: (info.annotation, _optional(info)) for name, info in model.model_fields.items()}
    return create_model(f"{model.__name__}Changes", __config__=model.model_config, **fields)


def _optional(info: FieldInfo) -> FieldInfo:
    optional = copy.copy(info)
    optional.default, optional.default_factory = None, None
    return optional
