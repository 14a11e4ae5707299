"""Reading the requests of an upload, and writing its answers, in the words of Azure Blob Storage. No storage here.

Source: learn.microsoft.com, "Put Block List", "Specifying conditional headers for Blob service operations" and "Status
and error codes".
"""

from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import datetime
from hashlib import md5
from urllib.parse import unquote
from wsgiref.handlers import format_date_time
from xml.parsers import expat
from xml.sax.saxutils import escape

from aiohttp import web

from local_host.connections import arriving
from shared.storage.blob_files import Condition
from shared.storage.ports import BlobInfo
from shared.storage.staged_blocks import MAX_BLOCKS

_PIECE_BYTES = 1024 * 1024


class Refused(Exception):
    """Answered with the service's XML error body."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = headers or {}


async def receive(request: web.Request, limit: int, write: Callable[[bytes], Awaitable[object]]) -> bytes:
    """Stream the body to `write`, at most `limit` bytes; returns its MD5. A short body is an error."""
    digest = md5(usedforsecurity=False)
    size = 0
    async for piece in _pieces(request):
        size += len(piece)
        if size > limit:
            raise too_large(limit)
        digest.update(piece)
        await write(piece)
    if request.content_length is not None and size != request.content_length:
        raise Refused(400, "IncompleteBody", "The body is shorter than its Content-Length.")
    return digest.digest()


async def _pieces(request: web.Request) -> AsyncIterator[bytes]:
    """The body in pieces worth a trip to another thread."""
    waiting = bytearray()
    async for chunk in arriving(request):
        waiting += chunk
        if len(waiting) >= _PIECE_BYTES:
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)


def block_ids(body: bytes) -> list[str]:
    """The ids of a block list. Committed blocks are not kept here, so a list that names one cannot be met."""
    elements: list[tuple[str, list[str]]] = []

    def refuse(*_: object) -> None:
        raise Refused(400, "InvalidXmlDocument", "A block list has no document type.")

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse  # no DTD, so no entities to expand
    parser.StartElementHandler = lambda tag, _: elements.append((tag, []))
    parser.CharacterDataHandler = lambda text: elements[-1][1].append(text)  # noqa: PLW0108  # the last one of then
    try:
        parser.Parse(body, True)
    except expat.ExpatError:
        raise Refused(400, "InvalidXmlDocument", "The block list is not well-formed XML.") from None
    kinds = {tag for tag, _ in elements[1:]}
    if elements[0][0] != "BlockList" or not kinds <= {"Latest", "Uncommitted", "Committed"}:
        raise Refused(400, "InvalidXmlDocument", "The body is not a BlockList.")
    if len(elements) - 1 > MAX_BLOCKS:
        raise Refused(400, "BlockListTooLong", f"A blob has at most {MAX_BLOCKS} blocks.")
    if "Committed" in kinds:
        raise Refused(400, "InvalidBlockList", "This store does not keep committed blocks.")
    return ["".join(text).strip() for _, text in elements[1:]]


def condition(request: web.Request) -> Condition:
    """If-Match and If-None-Match ("Specifying conditional headers for Blob service operations")."""
    if_match = request.headers.get("If-Match")
    if_none_match = request.headers.get("If-None-Match")

    def check(found: BlobInfo | None) -> None:
        if if_none_match == "*" and found is not None:
            raise Refused(409, "BlobAlreadyExists", "The specified blob already exists.")
        stale = if_match is not None and (found is None or if_match not in {"*", found.etag})
        if stale or (found is not None and if_none_match == found.etag):
            raise Refused(412, "ConditionNotMet", "The condition in the request's headers is not met.")

    return check


def place(request: web.Request) -> tuple[str, str]:
    """Container and name. aiohttp leaves `%2F` in a path as it is."""
    return request.match_info["container"], unquote(request.match_info["name"])


def content_type_of(request: web.Request) -> str:
    headers = request.headers
    return headers.get("x-ms-blob-content-type") or headers.get("Content-Type") or "application/octet-stream"


def check_md5(request: web.Request, digest: bytes, *headers: str) -> None:
    expected = b64encode(digest).decode()
    for header in headers:
        if request.headers.get(header, expected) != expected:
            raise Refused(400, "Md5Mismatch", f"The body's MD5 is not the one in {header}.")


def created(digest: bytes, now: datetime, info: BlobInfo | None = None) -> web.Response:
    """201. The MD5 is that of the request's body; a block alone has no etag."""
    headers = {"Content-MD5": b64encode(digest).decode(), "x-ms-request-server-encrypted": "false"}
    if info is not None:
        headers["ETag"] = info.etag
        headers["Last-Modified"] = format_date_time(now.timestamp())
    return web.Response(status=201, headers=headers)


def too_large(limit: int) -> Refused:
    return Refused(413, "RequestBodyTooLarge", f"The body, or all blocks together, may have {max(limit, 0)} bytes.")


def error_answer(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """The body of learn.microsoft.com "Status and error codes"."""
    text = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    return web.Response(
        status=status,
        body=f'<?xml version="1.0" encoding="utf-8"?>{text}'.encode(),
        content_type="application/xml",
        headers={**(headers or {}), "x-ms-error-code": code},
    )
