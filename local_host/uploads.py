"""The end point behind the embedded store's upload URLs: the write-only part of Azure Blob Storage's REST API.

Put Blob, Put Block and Put Block List, as azure-storage-blob's `upload_blob` and `curl -T FILE URL` send them
(learn.microsoft.com, "Put Blob", "Put Block", "Put Block List", "Blob service error codes"). Beyond the service: a
plain PUT without `x-ms-blob-type` is taken as a block blob, and so is a chunked body. Short of it: metadata, leases,
tags, date conditions and content properties other than the type are not kept; a CRC64 is refused, not ignored.
"""

from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from hashlib import md5
from pathlib import Path
from time import monotonic
from urllib.parse import unquote
from uuid import uuid4
from wsgiref.handlers import format_date_time
from xml.parsers import expat
from xml.sax.saxutils import escape

from aiohttp import ClientError, web

from shared.errors import StorageRefused, StorageUnavailable
from shared.storage.blob_files import Condition
from shared.storage.connection import DEVELOPMENT_ACCOUNT
from shared.storage.files import FileBlobs, in_thread
from shared.storage.ports import BlobInfo
from shared.storage.staged_blocks import MAX_BLOCKS, BlockError, StagedBlocks, sweep

DEFAULT_MAX_UPLOAD_BYTES = 268_435_456
_MAX_LIST_BYTES = 8 * 1024 * 1024
_PIECE_BYTES = 1024 * 1024
_SWEEP_SECONDS = 3600.0
_API_VERSION = "2021-12-02"
_NOT_SUPPORTED = frozenset(
    {
        "x-ms-content-crc64",
        "x-ms-structured-body",
        "x-ms-lease-id",
        "x-ms-if-tags",
        "x-ms-copy-source",
        "if-modified-since",
        "if-unmodified-since",
    }
)


def routes(data_dir: Path, *, max_upload_bytes: int = DEFAULT_MAX_UPLOAD_BYTES) -> Sequence[web.RouteDef]:
    """Every method on the upload URLs of the store in `data_dir`: those which are not uploads are refused here."""
    endpoint = _Endpoint(FileBlobs(data_dir), max_upload_bytes)
    path = f"/{DEVELOPMENT_ACCOUNT}/{{container}}/{{name:[\\s\\S]+}}"
    return [web.route("*", path, endpoint.handle, expect_handler=endpoint.expect)]


class _Refused(Exception):
    """Answered with the service's XML error body."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class _Endpoint:
    def __init__(self, store: FileBlobs, max_bytes: int) -> None:
        self._store = store
        self._max_bytes = max_bytes
        self._next_sweep = 0.0

    async def expect(self, request: web.Request) -> web.StreamResponse | None:
        """`Expect: 100-continue`: a request that will be refused is refused before its body is sent."""
        answer = await self._answer(request, self._check)
        if answer is None and request.headers["Expect"].lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0  # the interim answer is no part of the real one
        return answer

    async def handle(self, request: web.Request) -> web.StreamResponse:
        answer = await self._answer(request, self._upload)
        assert answer is not None
        return answer

    async def _answer(
        self, request: web.Request, serve: Callable[[web.Request], Awaitable[web.Response | None]]
    ) -> web.Response | None:
        """Run `serve`; what it refuses becomes the service's error answer."""
        try:
            answer = await serve(request)
        except _Refused as error:
            answer = _error(error.status, error.code, str(error))
        except BlockError as error:
            answer = _error(400, error.code, str(error))
        except StorageUnavailable as error:
            answer = _error(503, "ServerBusy", str(error))
        except (ClientError, ConnectionError):  # nobody is left to read this answer
            answer = _error(400, "IncompleteBody", "The connection broke before the body was complete.")
        if answer is not None:
            answer.headers["x-ms-request-id"] = str(uuid4())
            answer.headers["x-ms-version"] = request.headers.get("x-ms-version", _API_VERSION)
            if client_id := request.headers.get("x-ms-client-request-id"):
                answer.headers["x-ms-client-request-id"] = client_id
        return answer

    async def _upload(self, request: web.Request) -> web.Response:
        await self._check(request)
        if monotonic() >= self._next_sweep:
            self._next_sweep = monotonic() + _SWEEP_SECONDS
            await in_thread(sweep, self._store.files)
        match request.query.get("comp"):
            case "block":
                return await self._put_block(request)
            case "blocklist":
                return await self._put_block_list(request)
            case _:
                return await self._put_blob(request)

    async def _check(self, request: web.Request) -> None:
        """Everything that can be said without the body."""
        container, name = _place(request)
        try:
            allowed = await self._store.verify_upload(container, name, request.query, datetime.now(UTC))
            found = await in_thread(self._store.files.info, container, name)
        except StorageRefused:
            allowed, found = False, None
        if not allowed:
            raise _Refused(403, "AuthenticationFailed", "The signature is not for this URL, or it has expired.")
        if request.method != "PUT":
            raise _Refused(403, "AuthorizationPermissionMismatch", "This URL allows uploading and nothing else.")
        if unknown := _NOT_SUPPORTED & {header.lower() for header in request.headers}:
            raise _Refused(400, "UnsupportedHeader", f"Not supported here: {', '.join(sorted(unknown))}.")
        comp = request.query.get("comp")
        if comp not in {None, "block", "blocklist"}:
            raise _Refused(400, "UnsupportedQueryParameter", "comp can be block or blocklist here.")
        if request.headers.get("x-ms-blob-type", "BlockBlob") != "BlockBlob":
            raise _Refused(400, "InvalidHeaderValue", "x-ms-blob-type can be BlockBlob only.")
        limit = _MAX_LIST_BYTES if comp == "blocklist" else self._max_bytes
        if (request.content_length or 0) > limit:
            raise _too_large(limit)
        if comp == "block":
            await in_thread(self._blocks(request).check_id, request.query.get("blockid", ""))
        else:
            _condition(request)(found)

    async def _put_blob(self, request: web.Request) -> web.Response:
        files = self._store.files
        writer = await in_thread(
            files.begin, *_place(request), _content_type(request), undo=lambda made: made.discard()
        )
        try:
            digest = await _receive(request, self._max_bytes, writer.write)
            _check_md5(request, digest, "Content-MD5", "x-ms-blob-content-md5")
            info = await in_thread(writer.commit, _condition(request))
        finally:
            await in_thread(writer.discard)
        await in_thread(self._blocks(request).discard)
        return _created(digest, info)

    async def _put_block(self, request: web.Request) -> web.Response:
        block_id = request.query.get("blockid", "")
        blocks = self._blocks(request)
        room = self._max_bytes - await in_thread(blocks.size, block_id)
        incoming = self._store.files.incoming
        await in_thread(lambda: incoming.mkdir(parents=True, exist_ok=True))
        path = incoming / uuid4().hex
        file = await in_thread(lambda: path.open("xb"), undo=lambda made: made.close())
        try:
            digest = await _receive(request, room, file.write)
            _check_md5(request, digest, "Content-MD5")
            await in_thread(file.close)
            await in_thread(blocks.stage, block_id, path)
        finally:
            await in_thread(file.close)
            await in_thread(lambda: path.unlink(missing_ok=True))
        return _created(digest)

    async def _put_block_list(self, request: web.Request) -> web.Response:
        body = bytearray()
        digest = await _receive(request, _MAX_LIST_BYTES, body.extend)
        _check_md5(request, digest, "Content-MD5")
        block_ids = _block_ids(bytes(body))
        blocks = self._blocks(request)
        if await in_thread(blocks.size) > self._max_bytes:  # blocks put side by side may each have seen room
            raise _too_large(self._max_bytes)
        files = self._store.files
        content_type = request.headers.get("x-ms-blob-content-type") or "application/octet-stream"
        writer = await in_thread(files.begin, *_place(request), content_type, undo=lambda made: made.discard())
        try:
            await in_thread(blocks.join, block_ids, writer)
            info = await in_thread(writer.commit, _condition(request))
        finally:
            await in_thread(writer.discard)
        await in_thread(blocks.discard)
        return _created(digest, info)

    def _blocks(self, request: web.Request) -> StagedBlocks:
        return StagedBlocks.of(self._store.files, *_place(request))


async def _receive(request: web.Request, limit: int, write: Callable[[bytes], object]) -> bytes:
    """Stream the body to `write`, at most `limit` bytes; returns its MD5. A short body is an error."""
    digest = md5(usedforsecurity=False)
    size = 0
    async for piece in _pieces(request):
        size += len(piece)
        if size > limit:
            raise _too_large(limit)
        digest.update(piece)
        await in_thread(write, piece)
    if request.content_length is not None and size != request.content_length:
        raise _Refused(400, "IncompleteBody", "The body is shorter than its Content-Length.")
    return digest.digest()


async def _pieces(request: web.Request) -> AsyncIterator[bytes]:
    """The body in pieces worth a trip to another thread."""
    waiting = bytearray()
    async for chunk in request.content.iter_any():
        waiting += chunk
        if len(waiting) >= _PIECE_BYTES:
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)


def _block_ids(body: bytes) -> list[str]:
    """The ids of a block list. Committed blocks are not kept here, so a list that names one cannot be met."""
    elements: list[tuple[str, list[str]]] = []

    def refuse(*_: object) -> None:
        raise _Refused(400, "InvalidXmlDocument", "A block list has no document type.")

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse  # no DTD, so no entities to expand
    parser.StartElementHandler = lambda tag, _: elements.append((tag, []))
    parser.CharacterDataHandler = lambda text: elements[-1][1].append(text)  # noqa: PLW0108  # the last one of then
    try:
        parser.Parse(body, True)
    except expat.ExpatError:
        raise _Refused(400, "InvalidXmlDocument", "The block list is not well-formed XML.") from None
    kinds = {tag for tag, _ in elements[1:]}
    if elements[0][0] != "BlockList" or not kinds <= {"Latest", "Uncommitted", "Committed"}:
        raise _Refused(400, "InvalidXmlDocument", "The body is not a BlockList.")
    if len(elements) - 1 > MAX_BLOCKS:
        raise _Refused(400, "BlockListTooLong", f"A blob has at most {MAX_BLOCKS} blocks.")
    if "Committed" in kinds:
        raise _Refused(400, "InvalidBlockList", "This store does not keep committed blocks.")
    return ["".join(text).strip() for _, text in elements[1:]]


def _condition(request: web.Request) -> Condition:
    """If-Match and If-None-Match ("Specifying conditional headers for Blob service operations")."""
    if_match = request.headers.get("If-Match")
    if_none_match = request.headers.get("If-None-Match")

    def check(found: BlobInfo | None) -> None:
        if if_none_match == "*" and found is not None:
            raise _Refused(409, "BlobAlreadyExists", "The specified blob already exists.")
        stale = if_match is not None and (found is None or if_match not in {"*", found.etag})
        if stale or (found is not None and if_none_match == found.etag):
            raise _Refused(412, "ConditionNotMet", "The condition in the request's headers is not met.")

    return check


def _place(request: web.Request) -> tuple[str, str]:
    """Container and name. aiohttp leaves `%2F` in a path as it is."""
    return request.match_info["container"], unquote(request.match_info["name"])


def _content_type(request: web.Request) -> str:
    headers = request.headers
    return headers.get("x-ms-blob-content-type") or headers.get("Content-Type") or "application/octet-stream"


def _check_md5(request: web.Request, digest: bytes, *headers: str) -> None:
    for header in headers:
        told = request.headers.get(header)
        if told is not None and told != b64encode(digest).decode():
            raise _Refused(400, "Md5Mismatch", f"The body's MD5 is not the one in {header}.")


def _created(digest: bytes, info: BlobInfo | None = None) -> web.Response:
    """201. The MD5 is that of the request's body; a block alone has no etag."""
    headers = {"Content-MD5": b64encode(digest).decode(), "x-ms-request-server-encrypted": "false"}
    if info is not None:
        headers["ETag"] = info.etag
        headers["Last-Modified"] = format_date_time(datetime.now(UTC).timestamp())
    return web.Response(status=201, headers=headers)


def _too_large(limit: int) -> _Refused:
    return _Refused(413, "RequestBodyTooLarge", f"The body, or all blocks together, may have {max(limit, 0)} bytes.")


def _error(status: int, code: str, message: str) -> web.Response:
    """The body of learn.microsoft.com "Status and error codes"."""
    text = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    return web.Response(
        status=status,
        body=f'<?xml version="1.0" encoding="utf-8"?>{text}'.encode(),
        content_type="application/xml",
        headers={"x-ms-error-code": code},
    )
