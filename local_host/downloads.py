"""Downloads from the embedded store: Get Blob and Get Blob Properties, streamed, whole or one range of it.

Sources: RFC 9110, sections 13 (conditions) and 14 (ranges); learn.microsoft.com, "Get Blob" and "Specifying the range
header for Blob service operations": `x-ms-range` counts before `Range`, and several ranges at once are answered whole.
"""

import os
import re
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from functools import partial
from typing import BinaryIO

from aiohttp import web

from local_host.upload_messages import Refused
from shared.errors import StorageRefused
from shared.storage.blob_files import BlobFiles
from shared.storage.files import in_thread
from shared.storage.ports import BlobInfo
from shared.storage.signed_urls import DISPOSITION

_PIECE_BYTES = 256 * 1024
_RANGE = re.compile(r"\s*bytes\s*=\s*([0-9]{0,18})\s*-\s*([0-9]{0,18})\s*", re.IGNORECASE)


async def download(request: web.Request, files: BlobFiles, container: str, name: str) -> web.StreamResponse:
    """The answer to a GET or HEAD whose signature was checked. Raises Refused: 404 without the blob, 412, 416."""
    try:
        opened = await in_thread(files.open, container, name, undo=lambda made: made and made[0].close())
    except StorageRefused:
        opened = None
    if opened is None:
        raise Refused(404, "BlobNotFound", "The specified blob does not exist.")
    file, info, offset = opened
    try:
        modified = datetime.fromtimestamp(await in_thread(_modified, file), UTC).replace(microsecond=0)
        headers = _headers(request, info, modified)
        if _is_known(request, info, modified):
            return web.Response(status=304, headers=headers)
        first, length = 0, info.size
        # Of HEAD no range is defined (RFC 9110, section 14.2).
        found = _range(request, info, modified) if request.method == "GET" else None
        if found is not None:
            first, length = found
            headers["Content-Range"] = f"bytes {first}-{first + length - 1}/{info.size}"
        answer = web.StreamResponse(status=200 if found is None else 206, headers=headers)
        answer.content_length = length
        answer.headers["Content-Type"] = info.content_type
        await answer.prepare(request)
        with suppress(ConnectionError):  # who asked has gone
            if request.method != "HEAD":
                await _send(answer, file, offset + first, length)
            await answer.write_eof()
        return answer
    finally:
        await in_thread(file.close)


async def _send(answer: web.StreamResponse, file: BinaryIO, position: int, length: int) -> None:
    await in_thread(partial(file.seek, position))
    while length > 0:
        piece = await in_thread(partial(file.read, min(_PIECE_BYTES, length)))
        if not piece:
            raise OSError("the file is shorter than it was")
        length -= len(piece)
        await answer.write(piece)


def _headers(request: web.Request, info: BlobInfo, modified: datetime) -> dict[str, str]:
    headers = {
        "Accept-Ranges": "bytes",
        "Cache-Control": "no-store",
        "ETag": info.etag,
        "Last-Modified": format_datetime(modified, usegmt=True),
        "X-Content-Type-Options": "nosniff",
        "x-ms-blob-type": "BlockBlob",
    }
    disposition = request.query.get(DISPOSITION)
    return headers | ({"Content-Disposition": disposition} if disposition else {})


def _is_known(request: web.Request, info: BlobInfo, modified: datetime) -> bool:
    """Whether the caller has it already. Raises Refused 412 (RFC 9110, section 13.2.2)."""
    headers = request.headers
    if "If-Match" in headers:
        is_met = _names(headers["If-Match"], info.etag)
    else:
        since = _date(headers.get("If-Unmodified-Since"))
        is_met = since is None or modified <= since
    if not is_met:
        raise Refused(412, "ConditionNotMet", "The condition in the request's headers is not met.")
    if "If-None-Match" in headers:
        return _names(headers["If-None-Match"], info.etag)
    since = _date(headers.get("If-Modified-Since"))
    return since is not None and modified <= since


def _range(request: web.Request, info: BlobInfo, modified: datetime) -> tuple[int, int] | None:
    """First byte and length; None for the whole. Raises Refused 416 where no byte of the blob is in it."""
    text = request.headers.get("x-ms-range") or request.headers.get("Range") or ""
    found = _RANGE.fullmatch(text)
    if found is None or not (found[1] or found[2]):
        return None
    if_range = request.headers.get("If-Range")
    if if_range is not None and if_range.strip() != info.etag and _date(if_range) != modified:
        return None
    if found[1] and found[2] and int(found[2]) < int(found[1]):
        return None
    first = int(found[1]) if found[1] else max(0, info.size - int(found[2]))
    last = int(found[2]) if found[1] and found[2] else info.size
    length = min(last + 1, info.size) - first
    if length <= 0 or (not found[1] and int(found[2]) == 0):
        message = "The range specified is invalid for the current size of the resource."
        raise Refused(416, "InvalidRange", message, {"Content-Range": f"bytes */{info.size}"})
    return first, length


def _names(header: str, etag: str) -> bool:
    return any(each.strip().removeprefix("W/") in ("*", etag) for each in header.split(","))


def _date(text: str | None) -> datetime | None:
    try:
        found = parsedate_to_datetime(text or "")
    except (ValueError, OverflowError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _modified(file: BinaryIO) -> float:
    return os.fstat(file.fileno()).st_mtime
