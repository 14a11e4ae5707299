"""Files of a page: each with an ETag, and compressed where the caller takes that."""

import asyncio
import gzip
from collections.abc import Mapping
from pathlib import Path

from shared.contracts.conditions import hash_etag, is_not_modified
from shared.contracts.http import Request, Response
from shared.contracts.pages import CONTENT_TYPES
from shared.errors import RequestError
from shared.frozen import frozen

FRESH = {"Cache-Control": "no-cache"}
"""Kept, and asked for again each time: an ETag makes that cheap."""


@frozen
class PageFile:
    """A file as it is sent; `compressed` is the same with Content-Encoding gzip, None where that saves nothing."""

    content: bytes
    compressed: bytes | None
    content_type: str
    etag: str


class PageFiles:
    """The files of one page by their names, each kept from when it was first read."""

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self._paths = paths
        self._kept: dict[str, PageFile] = {}

    def are_there(self) -> bool:
        """Whether none is missing."""
        return all(path.is_file() for path in self._paths.values())

    async def answer(self, request: Request) -> Response:
        """`GET {page}/{file}`: 200 with an ETag, compressed where the caller takes that; 304; RequestError 404."""
        name = request.route["file"]
        if name not in self._paths or not self._paths[name].is_file():
            raise RequestError(404, "RouteNotFound", "There is nothing at this path.")
        found = await asyncio.to_thread(self._read, name)
        # Weak: the same tag stands for the compressed bytes (RFC 9110, 8.8.3.3).
        sent = {"ETag": f"W/{found.etag}", "Vary": "Accept-Encoding", **FRESH}
        if is_not_modified(request.headers, found.etag):
            return Response(status=304, headers=sent)
        content = found.content
        if found.compressed is not None and _takes_gzip(request):
            content, sent["Content-Encoding"] = found.compressed, "gzip"
        return Response(status=200, headers=sent, body=content, content_type=found.content_type)

    def _read(self, name: str) -> PageFile:
        if name not in self._kept:
            content = self._paths[name].read_bytes()
            content_type = CONTENT_TYPES[Path(name).suffix]
            compressed = gzip.compress(content, mtime=0) if content_type.startswith("text/") else None
            self._kept[name] = PageFile(content, compressed, content_type, hash_etag(content))
        return self._kept[name]


def _takes_gzip(request: Request) -> bool:
    """RFC 9110, 12.5.3; a weight of zero refuses it."""
    for element in request.headers.get("accept-encoding", "").lower().split(","):
        coding, _, weight = element.strip().partition(";")
        if coding.strip() == "gzip":
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
