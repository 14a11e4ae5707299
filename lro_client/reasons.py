"""Why something failed: the error objects of Azure, ARM and OData, and what services write in their place. Without I/O.

Sources: Azure REST API Guidelines, "Handling errors"; ARM RPC, "Error Response Content"; OData JSON Format 4.01,
section 21; RFC 9457. A body that follows none of them is searched, as far as `_DEEPEST` and `_MOST` allow.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, cast

from lro_client.messages import Answer
from lro_client.plain import plain_reason

Fields = dict[str, Any]
_DEEPEST = 8
_MOST = 200
"""Objects of a body that are looked at, members of one, and parts of one error."""
_LONGEST = 2000
"""Characters of a text that is shown."""
_LONGEST_JSON = 64 * 1024
"""Characters of a text that is read as JSON."""

# Names are compared in lower case, without `_`, `-`, `.` and the like.
_ERROR = re.compile("error")
_PARTS = ("details", "innererror", "errors", "modelstate")
_FIELDS = {"errors", "modelstate"}
_IN_ERROR = re.compile(r".*message|.*description|faultstring|details?|reason|cause|.*msg")
_CODE = re.compile(r".*(err(or)?|fail(ed|ure)?|fault|reason)code")
_PLACES = (
    re.compile(r"err|(?!inner|on|has|ignore|max).*(error|failure|fault|exception)s?(info|details?|data|response)?"),
    re.compile(r".*(stat(us|e)|err(or)?|fail(ed|ure)?).*(messages?|msg)"),
    re.compile(r".*(stat(us|e)|error|fail(ed|ure)?).*(reason|cause|detail|description|text)s?"),
    re.compile(r"messages?"),
    re.compile(r"(reason|cause|detail)s?"),
    _CODE,
)
"""Members that say why an operation failed, if there is no `error`; what says so outright comes first."""
_ASIDE = frozenset({"progress", "tags", "input", "inputs", "request", "parameters", "warnings"})
"""Members that tell of other things by the same words."""
_NO_REASON = frozenset({"", "failed", "canceled", "cancelled"})
_KEYS = re.compile(
    r"([?&](?:code|key|token)=|\b(?:access_?token|(?:account|api|subscription|shared_?access)[-_]?key|password|pwd|"
    r"(?:client_?)?secret|sig)\s?[=:]\s?|\bbearer\s+)[^\s&;,'\"<>)]+",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class ErrorDetail:
    """An error object, as Azure, ARM and OData have it. `raw` is the whole of it.

    Its texts have 2,000 characters at most, and no values of keys in them. An inner error is the last of `details`.
    """

    code: str | None
    message: str | None
    target: str | None = None
    details: tuple["ErrorDetail", ...] = ()
    raw: Any = None

    def __str__(self) -> str:
        text = ": ".join(part for part in (self.code, self.message) if part)
        return text or "no reason was given"


def reason_of(body: Fields | None) -> ErrorDetail | None:
    """Why an operation failed, from the body of its monitor or its resource; None where nothing there says it.

    In this order, and what lies nearer to the surface first: an `error`; the body, where it is an error object itself;
    a member that is an error by its name (`errors`, `provisioningError`); a text that is a reason by its name
    (`statusMessage`, `failureReason`); a `message`; a code.
    """
    reasons = _reasons(body or {})
    found = _first(reasons)
    if found is None or found.message or found.details:
        return found
    # A code alone: the text may be elsewhere.
    message = next((reason.message for reason in reasons if reason is not None and reason.message), None)
    return replace(found, message=message)


def error_of(answer: Answer) -> ErrorDetail | None:
    """What an error answer says: `{"error": {...}}`, a bare error object or anything else that has a reason in it, XML,
    a page, a text, or the header `x-ms-error-code`.
    """
    if answer.status_code < 400:
        return None
    body = answer.object()
    if body is not None:
        found = _first(_at(_ERROR, body)) or _first([error_detail(body)]) or reason_of(body) or _by_field(body)
    else:
        found = _first([error_detail(_other_json(answer))]) or _plain(answer)
    code = answer.headers.get("x-ms-error-code")
    return found or (ErrorDetail(code, None) if code else None)


def _by_field(body: Fields) -> ErrorDetail | None:
    """What validators say of each field and nothing beside it, in `errors` or outright (Rails, Django, ASP.NET)."""
    errors = _lowered(body).get("errors")
    parts = [_of_fields(cast("Fields", each)) for each in (errors, body) if isinstance(each, dict) and each]
    return _first([error_detail(part) for part in parts if isinstance(part, list)])


def _other_json(answer: Answer) -> Any:
    try:
        return answer.json() if answer.is_json else None
    except ValueError:
        return None


def _plain(answer: Answer) -> ErrorDetail | None:
    code, message = map(_text, plain_reason(answer))
    return ErrorDetail(code, message, raw=answer.text()[:_LONGEST]) if code or message else None


def error_detail(found: Any, *, depth: int = _DEEPEST) -> ErrorDetail | None:
    """The error object in `found`, which may be anything; its parts are followed `depth` deep."""
    found = _unpacked(found)
    if isinstance(found, list):
        details = _details(cast("list[Any]", found), depth)
        first = _first(details)
        return first and replace(first, details=first.details + tuple(part for part in details if part is not first))
    if isinstance(found, dict):
        lowered = _lowered(cast("Fields", found))
        message = _message(lowered.get("message")) or next(_texts(_IN_ERROR, lowered), _text(lowered.get("title")))
        is_error = bool(message or _code(lowered)) or not {"code", "message"}.isdisjoint(lowered)
        return _made(cast("Fields", found), message, depth) if is_error else None
    text = _text(found) if isinstance(found, str) else None
    return ErrorDetail(None, text, raw=found) if text else None


def _reasons(body: Fields) -> Iterator[ErrorDetail | None]:
    """What may be the reason, the best first."""
    objects = list(_objects(body))
    own = _lowered(body).keys()
    for fields in objects:
        yield from _at(_ERROR, fields)
    if {"code", "message"} <= own:
        yield error_detail(body)
    for names in _PLACES:
        for fields in objects:
            yield from _at(names, fields)
    if "code" in own:
        yield error_detail(body)


def _at(names: re.Pattern[str], fields: Fields) -> Iterator[ErrorDetail | None]:
    """What the members by these names say; to a text belongs what is beside it."""
    lowered = _lowered(fields)
    for name, value in lowered.items():
        if names.fullmatch(name) and isinstance(_unpacked(value), dict | list):
            yield error_detail(value)
    for text in _texts(names, lowered):
        # A word beside a text is its code: {"error": "invalid_grant", "error_description": "..."}.
        beside = names is _ERROR and (_message(lowered.get("message")) or next(_texts(_IN_ERROR, lowered), None))
        message = beside or (text if names is not _CODE else None)
        yield _made({"code": text} | fields if beside else fields, message, _DEEPEST)


def _first(found: Iterator[ErrorDetail | None] | list[ErrorDetail | None]) -> ErrorDetail | None:
    """The first that says anything."""
    return next((detail for detail in found if detail is not None and (detail.code or detail.message)), None)


def _made(fields: Fields, message: str | None, depth: int) -> ErrorDetail:
    """The error object that has these fields."""
    lowered = _lowered(fields)
    parts: list[Any] = []
    for name in _PARTS:
        part = _unpacked(lowered.get(name))
        if name in _FIELDS and isinstance(part, dict):
            part = _of_fields(cast("Fields", part))
        parts += cast("list[Any]", part) if isinstance(part, list) else [part] if isinstance(part, dict) else []
    details = tuple(detail for detail in _details(parts, depth) if detail is not None)
    return ErrorDetail(_code(lowered), message, _text(lowered.get("target")), details, fields)


def _of_fields(texts: Fields) -> list[Any] | Fields:
    """Error objects for what ASP.NET says of each field, `{"name": ["is required"]}`; anything else as it is."""
    fields = list(islice(texts.items(), _MOST))
    if not all(isinstance(each, list) and each and isinstance(cast("list[Any]", each)[0], str) for _, each in fields):
        return texts
    return [{"target": name, "message": text} for name, each in fields for text in each[:_MOST]]


def _details(parts: list[Any], depth: int) -> list[ErrorDetail | None]:
    return [error_detail(part, depth=depth - 1) for part in parts[:_MOST]] if depth else []


def _objects(body: Fields) -> Iterator[Fields]:
    """The body and the objects in it, the outer ones first; also those in texts that are JSON."""
    level: list[Any] = [body]
    left = _MOST
    for _ in range(_DEEPEST):
        values, level = level[:left], []
        left -= len(values)
        for value in values:
            inner = cast("list[Any]", value)
            if isinstance(value, dict):
                yield cast("Fields", value)
                inner = [part for name, part in _lowered(cast("Fields", value)).items() if name not in _ASIDE]
            level += [part for part in map(_unpacked, inner[:_MOST]) if isinstance(part, dict | list)]


def _unpacked(value: Any) -> Any:
    """The object in a text that is one in JSON, as ARM's `statusMessage` may be; anything else as it is."""
    if isinstance(value, str) and len(value) <= _LONGEST_JSON and value.lstrip()[:1] == "{":
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _lowered(fields: Fields) -> Fields:
    """The fields by their names in lower case, without what is no letter; the first of a name counts."""
    lowered: Fields = {}
    for name, value in islice(fields.items(), _MOST):
        lowered.setdefault(re.sub(r"[^a-z]", "", name[:80].lower()), value)
    return lowered


def _texts(names: re.Pattern[str], lowered: Fields) -> Iterator[str]:
    """The texts by these names that say more than the status does."""
    found = (_unpacked(value) for name, value in lowered.items() if names.fullmatch(name))
    texts = (_text(value) or "" for value in found if isinstance(value, str))
    return (text for text in texts if text.lower() not in _NO_REASON)


def _code(lowered: Fields) -> str | None:
    return _text(lowered.get("code")) or next(_texts(_CODE, lowered), None)


def _text(value: Any) -> str | None:
    """A value as it may be shown: cut, and without keys."""
    if value is None or isinstance(value, dict | list):
        return None
    text = str(value).strip()
    return _KEYS.sub(r"\1...", text[:_LONGEST]) + ("..." if len(text) > _LONGEST else "")


def _message(value: Any) -> str | None:
    """OData before 4.0 has `{"lang", "value"}` here."""
    return _text(cast("Fields", value).get("value") if isinstance(value, dict) else value)
