"""Reading a JSON request body: what is refused, in which order, and how it meets the route."""

import json
import math
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Any, NoReturn, cast

from pydantic import BaseModel, TypeAdapter, ValidationError

from shared.contracts.errors import validation_error
from shared.contracts.http import Request
from shared.errors import ErrorDetail, RequestError


def read_json_object(request: Request, *, limit: int) -> dict[str, Any]:
    """The request's JSON object; an absent body is an empty one.

    Raises RequestError 411 for a chunked body that the host has dropped, 413 above `limit` bytes, 415 for another
    media type, 400 for what is not a JSON object.
    """
    if not request.body and "chunked" in request.headers.get("transfer-encoding", "").lower():
        raise RequestError(411, "LengthRequired", "Send the body with Content-Length; chunked bodies do not arrive.")
    if len(request.body) > limit:
        raise RequestError(413, "RequestBodyTooLarge", f"The body has more than {limit} bytes.")
    if not request.body:
        return {}
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type != "application/json" and not (
        media_type.startswith("application/") and media_type.endswith("+json")
    ):
        raise RequestError(415, "UnsupportedMediaType", "Send the body as Content-Type: application/json.")
    try:
        value: Any = json.loads(
            request.body, object_pairs_hook=_object, parse_constant=_no_constant, parse_float=_finite
        )
    except RequestError:
        raise
    except (ValueError, RecursionError) as error:
        raise RequestError(400, "InvalidJson", f"The body is not JSON: {error}") from None
    if b"\\u" in request.body and not _is_unicode(value):
        raise RequestError(400, "InvalidJson", "The body escapes half a surrogate pair, which is no character.")
    if not isinstance(value, dict):
        raise RequestError(400, "InvalidJson", "The body must be a JSON object.")
    return cast(dict[str, Any], value)


def refuse_body(request: Request) -> None:
    """A DELETE takes no body; raises RequestError 400 for one ("DELETE LRO pattern")."""
    if request.body or "chunked" in request.headers.get("transfer-encoding", "").lower():
        raise RequestError(400, "BodyNotAllowed", "A DELETE takes no body; leave it out.")


def parse_input(model: type[BaseModel] | None, route: Mapping[str, str], body: dict[str, Any]) -> BaseModel | None:
    """The input model from route and body, unknown fields refused.

    Raises RequestError 400 RouteMismatch when the body repeats a route parameter with another value, else InvalidInput.
    """
    if model is None:
        if body:
            raise RequestError(400, "InvalidInput", "This action takes no input; send no body or {}.")
        return None
    values = dict(body)
    for name, value in route.items():
        wire_name = _wire_name(model, name)
        if wire_name in values and str(values[wire_name]) != value:
            message = f"The body says another {wire_name!r} than the URL; leave it out."
            detail = ErrorDetail("RouteMismatch", message, wire_name)
            raise RequestError(400, "RouteMismatch", message, target=wire_name, details=(detail,))
        values[wire_name] = _route_value(model, name, value)
    try:
        # Strict, as JSON has types of its own: "3" is no number. Dates and the like still come as strings.
        return model.model_validate_json(json.dumps(values), strict=True, extra="forbid", by_alias=True, by_name=False)
    except ValidationError as error:
        raise validation_error(error) from None


def parse_query(model: type[BaseModel], route: Mapping[str, str], query: Mapping[str, str]) -> BaseModel:
    """The input model of a read: everything comes as text, so numbers and the like are read from it."""
    values = {_wire_name(model, name): value for name, value in route.items()}
    try:
        return model.model_validate({**query, **values}, extra="forbid", by_alias=True, by_name=False)
    except ValidationError as error:
        raise validation_error(error) from None


def canonical_json(input: BaseModel | None) -> bytes:
    """The input as stored: aliases as names, sorted, without spaces, so that equal inputs are equal bytes."""
    if input is None:
        return b"{}"
    return json.dumps(input.model_dump(mode="json", by_alias=True), sort_keys=True, separators=(",", ":")).encode()


def fingerprint(action_name: str, method: str, input_json: bytes) -> str:
    """What makes two starts the same: the action, the verb, and the input (the route's parameters are part of it)."""
    return sha256(b"\n".join([action_name.encode(), method.encode(), input_json])).hexdigest()


def _wire_name(model: type[BaseModel], name: str) -> str:
    field = model.model_fields.get(name)
    return (field.alias or name) if field else name


def _route_value(model: type[BaseModel], name: str, value: str) -> Any:
    """A route parameter as JSON: text stays text unless the field wants something else and it reads as that."""
    field = model.model_fields.get(name)
    if field is None or field.annotation is str or _takes(model, name, value):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _takes(model: type[BaseModel], name: str, value: str) -> bool:
    """Whether the field's type takes the text as it is; `0` may be a name where text or nothing is wanted."""
    try:
        _adapter(model, name).validate_json(json.dumps(value), strict=True)
    except ValidationError:
        return False
    return True


@lru_cache(maxsize=256)
def _adapter(model: type[BaseModel], name: str) -> TypeAdapter[Any]:
    annotation: Any = model.model_fields[name].annotation
    return TypeAdapter(annotation)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise RequestError(400, "InvalidJson", "The body names a member twice in one object.")
    return value


def _is_unicode(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise RequestError(400, "InvalidJson", "A number is too large.")
    return value


def _no_constant(name: str) -> NoReturn:
    raise RequestError(400, "InvalidJson", f"{name} is not JSON.")
