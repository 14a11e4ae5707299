"""A request and an answer as plain values: what contracts are written in, whatever host carries them."""

import json
import re
from collections.abc import Mapping
from dataclasses import field
from typing import Any
from urllib.parse import parse_qsl

from shared.frozen import frozen

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))

_PATH = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*([^?#]*)")
"""Of an absolute URL. `urlsplit` raises for hosts that callers can send."""


@frozen(kw_only=True)
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
    root_path: str = ""
    """Where the app's routes begin in the URL's path, e.g. `/api`; empty where that is the path's own beginning."""
    is_head: bool = False
    """Whether the host leaves the body out of the answer; `method` is GET then (RFC 9110, section 9.3.2)."""

    @property
    def is_chunked(self) -> bool:
        """Whether the body came without its length: the Functions host drops such a body, and `body` is empty."""
        return "chunked" in self.headers.get("transfer-encoding", "").lower()

    @property
    def has_content(self) -> bool:
        """Whether there is a body, arrived or not. Without one, headers that describe it say nothing (RFC 9110, 8)."""
        return bool(self.body) or self.is_chunked

    def query_names(self) -> list[str]:
        """The names in the URL's query, decoded; a repeated one is there as often as it came, unlike in `query`."""
        return [name for name, _ in parse_qsl(self.url.partition("?")[2], keep_blank_values=True)]

    @property
    def path(self) -> str:
        """The path of the URL as routes see it, still encoded: without `root_path`, as many segments as that has."""
        found = _PATH.match(self.url)
        path = found[1] if found else ""
        if not self.root_path:
            return path
        return "/" + "/".join(path.split("/")[1 + self.root_path.count("/") :])


@frozen(kw_only=True)
class Response:
    """An answer. `headers` never holds Content-Type: that is `content_type`."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""
    content_type: str | None = None


def json_response(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Response:
    # A lone surrogate, which a JSON escape can smuggle in, has no UTF-8.
    content = _ENCODER.encode(body).encode(errors="replace")
    return Response(status=status, headers=headers or {}, body=content, content_type="application/json")


def around_member(answer: Response, name: str) -> tuple[bytes, bytes]:
    """All that stands before and after the value of one more member of an object: what is JSON already, and may be
    large, is neither parsed nor copied."""
    comma = b"," if len(answer.body) > len(b"{}") else b""
    return b"".join((answer.body[:-1], comma, b'"', name.encode(), b'":')), b"}"
