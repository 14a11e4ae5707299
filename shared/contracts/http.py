"""A request and an answer as plain values: what contracts are written in, whatever host carries them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """`headers` have lower-case names and several values joined by commas, as the Functions host hands them over."""

    method: str
    url: str
    """Absolute, as the host saw it."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    route: Mapping[str, str] = field(default_factory=dict[str, str])
    """Route parameters, percent-decoded except for `%2F`."""
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""

    @property
    def path(self) -> str:
        """The path of the URL, still encoded."""
        return urlsplit(self.url).path


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """An answer. `headers` never holds Content-Type: that is `content_type`."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""
    content_type: str | None = None


def json_response(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Response:
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(status=status, headers=headers or {}, body=content, content_type="application/json")
