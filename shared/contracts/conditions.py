"""Conditional requests (RFC 9110, section 13), and answers that a caller's own cache may keep (RFC 9111). Pure."""

import re
from collections.abc import Mapping
from hashlib import sha256

from shared.contracts.http import Request, Response
from shared.frozen import replace

REVALIDATED = {"Cache-Control": "private, no-cache"}
"""The caller's own cache may keep it, and asks each time whether it is still so (RFC 9111, section 5.2.2)."""

_ETAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')


def hash_etag(content: bytes) -> str:
    """A strong ETag: other bytes have another one (RFC 9110, section 8.8.3)."""
    return f'"{sha256(content).hexdigest()[:32]}"'


def matches(header: str, etag: str | None, *, weak: bool) -> bool:
    """Whether `header`, a list of ETags or `*`, has the one of what is there, which is None where there is nothing.

    `weak`: the comparison of If-None-Match; else that of If-Match (RFC 9110, sections 8.8.3.2, 13.1.1 and 13.1.2).
    """
    if etag is None:
        return False
    if header.strip() == "*":
        return True
    return any(f'"{value}"' == etag and (weak or not is_weak) for is_weak, value in _ETAG.findall(header))


def is_not_modified(headers: Mapping[str, str], etag: str) -> bool:
    """Whether a GET is answered 304 (RFC 9110, section 13.1.2)."""
    none_match = headers.get("if-none-match")
    return none_match is not None and matches(none_match, etag, weak=True)


def with_etag(response: Response) -> Response:
    """The answer with an ETag of its bytes, for the caller's own cache."""
    return replace(response, headers={**response.headers, "ETag": hash_etag(response.body), **REVALIDATED})


def revalidated(request: Request, response: Response) -> Response:
    """The answer of `with_etag` to a GET; 304 where the caller has it already."""
    etag = response.headers["ETag"]
    if is_not_modified(request.headers, etag):
        return Response(status=304, headers={"ETag": etag, **REVALIDATED})
    return response
