"""Requests and answers as values. Nothing here sends anything."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

JSON_TYPE = "application/json"


_CHARSET = re.compile(r";\s*charset\s*=\s*\"?([A-Za-z0-9_.:-]{1,40})", re.IGNORECASE)
_CODECS = {"iso-8859-1": "cp1252", "latin1": "cp1252", "windows-1252": "cp1252", "us-ascii": "cp1252"}
"""What servers say beside UTF-8, and what is meant by it (encoding.spec.whatwg.org, section 4.2)."""


def media_type(content_type: str) -> str:
    """A content type in lower case, without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def is_json(content_type: str) -> bool:
    """Whether a body of this type is JSON (RFC 6839, section 3.1, for `+json`)."""
    found = media_type(content_type)
    return found == JSON_TYPE or found.endswith("+json")


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
        return media_type(self.headers.get("content-type", ""))

    @property
    def is_json(self) -> bool:
        """Whether the body says of itself that it is JSON."""
        return is_json(self.media_type)

    def text(self) -> str:
        """The body as text. Bytes that are none become replacement characters."""
        try:
            return self._decoded("utf-8-sig")
        except UnicodeDecodeError:
            return self.body.decode("utf-8-sig", errors="replace")

    def _decoded(self, encoding: str) -> str:
        """The characters in this encoding or else, since few bytes of another are any in UTF-8, in the one it says."""
        try:
            return self.body.decode(encoding)
        except UnicodeDecodeError:
            found = _CHARSET.search(self.headers.get("content-type", ""))
            said = _CODECS.get(found[1].lower()) if found else None
            if said is None:
                raise
            return self.body.decode(said)

    def json(self) -> Any:
        """The body as JSON, None where it is empty.

        Raises:
            ValueError: the body is not JSON, or nests too deep to be read.
        """
        if not self.body.strip():
            return None
        try:
            # Of UTF-8, UTF-16 and UTF-32 the bytes tell which it is (RFC 4627, section 3).
            return json.loads(self._decoded(json.detect_encoding(self.body)))
        except RecursionError:
            raise ValueError("the JSON nests too deep") from None

    def object(self) -> dict[str, Any] | None:
        """The body where it is a JSON object, otherwise None."""
        try:
            found = self.json()
        except ValueError:
            return None
        return cast("dict[str, Any]", found) if isinstance(found, dict) else None
