"""Reading a JSON request body: what is refused, in which order, and how it meets the route."""

import json
import math
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any, NoReturn, TypeVar, cast

from pydantic import BaseModel, TypeAdapter, ValidationError

from shared.actions import sensitive
from shared.contracts.http import Request
from shared.errors import ErrorDetail, RequestError
from shared.misfits import fitting, validated

M = TypeVar("M", bound=BaseModel)


def read_json_object(request: Request, *, limit: int) -> dict[str, Any]:
    """The request's JSON object; an absent body is an empty one.

    Raises RequestError 411 for a chunked body that the host has dropped, 413 above `limit` bytes, 415 for another
    media type, 400 for what is not a JSON object.
    """
    check_arrived(request)
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
    except RecursionError:
        raise RequestError(400, "InvalidJson", "The body is nested too deeply.") from None
    except ValueError as error:
        raise RequestError(400, "InvalidJson", f"The body is not JSON: {error}") from None
    if b"\\u" in request.body and not _is_unicode(value):
        raise RequestError(400, "InvalidJson", "The body escapes half a surrogate pair, which is no character.")
    if not isinstance(value, dict):
        raise RequestError(400, "InvalidJson", "The body must be a JSON object.")
    return cast(dict[str, Any], value)


def read_input(request: Request, model: type[BaseModel] | None, *, limit: int) -> BaseModel | None:
    """The input model from the request's route and body. Raises as these two do."""
    return parse_input(model, request.route, read_json_object(request, limit=limit))


def check_encoding(request: Request) -> None:
    """Raise RequestError 415 for a body with a Content-Encoding other than `identity`.

    RFC 9110, sections 8.4, 12.5.3 and 15.5.16. Elements compare without case, empty ones of the list are none (5.6.1).
    A small body must not become a large one here, and the Functions host does not decode either.
    """
    if request.has_content:
        check_codings(request.headers.get("content-encoding", ""))


def check_codings(header: str) -> None:
    """Raise RequestError 415 where the value of a Content-Encoding names anything but `identity`."""
    if any(coding.strip().lower() not in ("", "identity") for coding in header.split(",")):
        message = "Send the body as it is, without Content-Encoding."
        headers = {"Accept-Encoding": "identity"}
        raise RequestError(415, "UnsupportedContentEncoding", message, target="Content-Encoding", headers=headers)


def check_arrived(request: Request) -> None:
    """Raise RequestError 411 for a body that the host has dropped."""
    if not request.body and request.is_chunked:
        raise RequestError(411, "LengthRequired", "Send the body with Content-Length; chunked bodies do not arrive.")


def refuse_body(request: Request) -> None:
    """A DELETE takes no body; raises RequestError 400 for one ("DELETE LRO pattern")."""
    if request.has_content:
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
    return validated_json(model, values)


def parse_query(model: type[BaseModel], route: Mapping[str, str], query: Mapping[str, str]) -> BaseModel:
    """The input model of a read: everything comes as text, so numbers and the like are read from it."""
    return validated(model, {**query, **{_wire_name(model, name): value for name, value in route.items()}})


def validated_json(model: type[M], values: Mapping[str, Any]) -> M:
    """As `validated`, and strict, as JSON has types of its own: "3" is no number. Dates still come as strings."""

    def validate(values: Mapping[str, Any]) -> M:
        text = json.dumps(values)
        return model.model_validate_json(text, strict=True, extra="forbid", by_alias=True, by_name=False)

    return fitting(validate, values)


def canonical_json(input: BaseModel | None) -> bytes:
    """The input as stored: aliases as names, sorted, without spaces, so that equal inputs are equal bytes.

    What is sensitive is in it: it is for storage and for the handler alone.
    """
    return b"{}" if input is None else sorted_json(sensitive.dumped(input))


def sorted_json(value: Any) -> bytes:
    """JSON without spaces, members in the order of their names."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def fingerprint(action_name: str, method: str, input_json: bytes, not_before: datetime | None = None) -> str:
    """What makes two starts the same: the action, the verb, the input (the route's parameters are part of it), and the
    time that the caller has named for it."""
    parts = [action_name.encode(), method.encode(), input_json]
    if not_before is not None:
        parts.append(not_before.isoformat().encode())
    return sha256(b"\n".join(parts)).hexdigest()


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
