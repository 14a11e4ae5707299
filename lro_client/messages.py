"""Requests and answers as values, and the error objects in them. Nothing here sends anything."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

JSON_TYPE = "application/json"


class Headers(Mapping[str, str]):
    """Header fields, whatever their case. A field that came more than once is one value, joined by a comma."""

    def __init__(self, fields: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> None:
        self._fields: dict[str, tuple[str, str]] = {}
        pairs = cast("Mapping[str, str]", fields).items() if isinstance(fields, Mapping) else fields
        for name, value in pairs:
            known = self._fields.get(name.lower())
            self._fields[name.lower()] = (name, value if known is None else f"{known[1]}, {value}")

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower()][1]

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._fields.values())

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return f"Headers({dict(self)!r})"

    def merged(self, *more: Mapping[str, str]) -> "Headers":
        """These and more; a later one replaces an earlier one of the same name."""
        names: dict[str, tuple[str, str]] = dict(self._fields)
        for fields in more:
            names |= {name.lower(): (name, value) for name, value in fields.items()}
        return Headers(names.values())


@dataclass(frozen=True, slots=True)
class Request:
    """A request to be sent. `trusted`: it goes to an origin that may see the credentials and the client's headers."""

    method: str
    url: str
    headers: Headers = field(default_factory=Headers)
    body: bytes | None = None
    trusted: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. `url` and `method` are those of its request."""

    method: str
    url: str
    status_code: int
    headers: Headers
    body: bytes = b""

    @property
    def media_type(self) -> str:
        """The content type in lower case, without its parameters; empty where there is none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def is_json(self) -> bool:
        """Whether the body says of itself that it is JSON."""
        return self.media_type == JSON_TYPE or self.media_type.endswith("+json")

    def text(self) -> str:
        """The body as text. Bytes that are none become replacement characters."""
        return self.body.decode("utf-8-sig", errors="replace")

    def json(self) -> Any:
        """The body as JSON, None where it is empty.

        Raises:
            ValueError: the body is not JSON, or nests too deep to be read.
        """
        if not self.body.strip():
            return None
        try:
            return json.loads(self.body.decode("utf-8-sig"))
        except RecursionError:
            raise ValueError("the JSON nests too deep") from None

    def object(self) -> dict[str, Any] | None:
        """The body where it is a JSON object, otherwise None."""
        try:
            found = self.json()
        except ValueError:
            return None
        return cast("dict[str, Any]", found) if isinstance(found, dict) else None


@dataclass(frozen=True, slots=True)
class ErrorDetail:
    """An error object, as Azure, ARM and OData have it. `raw` is the whole of it."""

    code: str | None
    message: str | None
    target: str | None = None
    details: tuple["ErrorDetail", ...] = ()
    raw: Any = None

    def __str__(self) -> str:
        said = ": ".join(part for part in (self.code, self.message) if part)
        return said or "no reason was given"


def error_detail(found: Any, *, depth: int = 8) -> ErrorDetail | None:
    """The error object in `found`, which may be anything; its parts are followed `depth` deep."""
    if isinstance(found, str) and found:
        return ErrorDetail(None, found, raw=found)
    if not isinstance(found, dict):
        return None
    fields = cast("dict[str, Any]", found)
    if "code" not in fields and "message" not in fields:
        return None
    parts: Any = fields.get("details")
    listed = cast("list[Any]", parts) if isinstance(parts, list) and depth else []
    details = (error_detail(part, depth=depth - 1) for part in listed)
    return ErrorDetail(
        code=_text(fields.get("code")),
        message=_message(fields.get("message")),
        target=_text(fields.get("target")),
        details=tuple(detail for detail in details if detail is not None),
        raw=found,
    )


def error_of(answer: Answer) -> ErrorDetail | None:
    """What an error answer says: `{"error": {...}}`, a bare error object, or the header `x-ms-error-code`.

    Source: Azure REST API Guidelines, "Handling errors"; OData JSON Format 4.01, section 21.
    """
    if answer.status_code < 400:
        return None
    body = answer.object()
    if body is not None:
        detail = error_detail(body.get("error")) or error_detail(body)
        if detail is not None:
            return detail
    code = answer.headers.get("x-ms-error-code")
    return ErrorDetail(code, None) if code else None


def _text(value: Any) -> str | None:
    return None if value is None or isinstance(value, dict | list) else str(value)


def _message(value: Any) -> str | None:
    """OData before 4.0 has `{"lang", "value"}` here."""
    if isinstance(value, dict):
        return _text(cast("dict[str, Any]", value).get("value"))
    return _text(value)
