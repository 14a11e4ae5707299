"""A request and an answer as plain values: what contracts are written in, whatever host carries them."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_PATH = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*([^?#]*)")
"""Of an absolute URL. `urlsplit` raises for hosts that callers can send."""


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
        found = _PATH.match(self.url)
        return found[1] if found else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """An answer. `headers` never holds Content-Type: that is `content_type`."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""
    content_type: str | None = None


def json_response(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Response:
    # A lone surrogate, which a JSON escape can smuggle in, has no UTF-8.
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
    return Response(status=status, headers=headers or {}, body=content, content_type="application/json")
