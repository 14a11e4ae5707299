"""The end point behind the embedded store's signed URLs: of Azure Blob Storage's REST API what uploads need.

Put Blob, Put Block and Put Block List, as azure-storage-blob's `upload_blob` and `curl -T FILE URL` send them
(learn.microsoft.com, "Put Blob", "Put Block", "Put Block List", "Blob service error codes"). Beyond the service: a
plain PUT without `x-ms-blob-type` is taken as a block blob, and so is a chunked body. Short of it: metadata, leases,
tags, date conditions and content properties other than the type are not kept; a CRC64 is refused, not ignored.
Downloads are in `local_host.downloads`.
"""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from uuid import uuid4

from aiohttp import web

from local_host.clock import SYSTEM, Clock
from local_host.downloads import download
from local_host.upload_messages import (
    Refused,
    block_ids,
    check_md5,
    condition,
    content_type_of,
    created,
    error_answer,
    place,
    receive,
    too_large,
)
from shared.errors import StorageRefused, StorageUnavailable
from shared.storage import signed_urls
from shared.storage.connection import DEVELOPMENT_ACCOUNT
from shared.storage.files import FileBlobs, in_thread
from shared.storage.staged_blocks import BlockError, StagedBlocks, sweep

DEFAULT_MAX_UPLOAD_BYTES = 268_435_456
_MAX_LIST_BYTES = 8 * 1024 * 1024
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


def routes(
    data_dir: Path, *, max_upload_bytes: int = DEFAULT_MAX_UPLOAD_BYTES, clock: Clock = SYSTEM
) -> Sequence[web.RouteDef]:
    """Every method on the signed URLs of the store in `data_dir`: what a URL does not allow is refused here."""
    endpoint = _Endpoint(FileBlobs(data_dir), max_upload_bytes, clock)
    path = f"/{DEVELOPMENT_ACCOUNT}/{{container}}/{{name:[\\s\\S]+}}"
    return [web.route("*", path, endpoint.handle, expect_handler=endpoint.expect)]


class _Endpoint:
    def __init__(self, store: FileBlobs, max_bytes: int, clock: Clock) -> None:
        self._store = store
        self._clock = clock
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
        serve = self._download if request.method in ("GET", "HEAD") else self._upload
        answer = await self._answer(request, serve)
        assert answer is not None
        return answer

    async def _answer(
        self, request: web.Request, serve: Callable[[web.Request], Awaitable[web.StreamResponse | None]]
    ) -> web.StreamResponse | None:
        """Run `serve`; what it refuses becomes the service's error answer."""
        try:
            answer = await serve(request)
        except Refused as error:
            answer = error_answer(error.status, error.code, str(error), error.headers)
        except BlockError as error:
            answer = error_answer(400, error.code, str(error))
        except StorageUnavailable as error:
            answer = error_answer(503, "ServerBusy", str(error))
        except ConnectionError:  # nobody is left to read this answer
            answer = error_answer(400, "IncompleteBody", "The connection broke before the body was complete.")
        if answer is not None and not answer.prepared:
            answer.headers["x-ms-request-id"] = str(uuid4())
            answer.headers["x-ms-version"] = request.headers.get("x-ms-version", _API_VERSION)
            if client_id := request.headers.get("x-ms-client-request-id"):
                answer.headers["x-ms-client-request-id"] = client_id
        return answer

    async def _upload(self, request: web.Request) -> web.Response:
        await self._check(request)
        if self._clock.monotonic() >= self._next_sweep:
            self._next_sweep = self._clock.monotonic() + _SWEEP_SECONDS
            await in_thread(sweep, self._store.files)
        match request.query.get("comp"):
            case "block":
                return await self._put_block(request)
            case "blocklist":
                return await self._put_block_list(request)
            case _:
                return await self._put_blob(request)

    async def _download(self, request: web.Request) -> web.StreamResponse:
        await self._check_granted(request, signed_urls.READ, "uploading")
        return await download(request, self._store.files, *place(request))

    async def _check_granted(self, request: web.Request, permission: str, other: str) -> None:
        try:
            granted = await self._store.granted(*place(request), request.query, self._clock.now())
        except StorageRefused:
            granted = ""
        if not granted:
            raise Refused(403, "AuthenticationFailed", "The signature is not for this URL, or it has expired.")
        if granted != permission:
            raise Refused(403, "AuthorizationPermissionMismatch", f"This URL allows {other} and nothing else.")

    async def _check(self, request: web.Request) -> None:
        """Everything that is known without the body."""
        container, name = place(request)
        await self._check_granted(request, signed_urls.WRITE, "downloading")
        found = await in_thread(self._store.files.info, container, name)
        if request.method != "PUT":
            raise Refused(403, "AuthorizationPermissionMismatch", "This URL allows uploading and nothing else.")
        if unknown := _NOT_SUPPORTED & {header.lower() for header in request.headers}:
            raise Refused(400, "UnsupportedHeader", f"Not supported here: {', '.join(sorted(unknown))}.")
        comp = request.query.get("comp")
        if comp not in {None, "block", "blocklist"}:
            raise Refused(400, "UnsupportedQueryParameter", "comp can be block or blocklist here.")
        if request.headers.get("x-ms-blob-type", "BlockBlob") != "BlockBlob":
            raise Refused(400, "InvalidHeaderValue", "x-ms-blob-type can be BlockBlob only.")
        limit = _MAX_LIST_BYTES if comp == "blocklist" else self._max_bytes
        if (request.content_length or 0) > limit:
            raise too_large(limit)
        if comp == "block":
            await in_thread(self._blocks(request).check_id, request.query.get("blockid", ""))
        else:
            condition(request)(found)

    async def _put_blob(self, request: web.Request) -> web.Response:
        files = self._store.files
        writer = await in_thread(
            files.begin, *place(request), content_type_of(request), undo=lambda made: made.discard()
        )
        try:
            digest = await receive(request, self._max_bytes, lambda piece: in_thread(writer.write, piece))
            check_md5(request, digest, "Content-MD5", "x-ms-blob-content-md5")
            info = await in_thread(writer.commit, condition(request))
        finally:
            await in_thread(writer.discard)
        await in_thread(self._blocks(request).discard)
        return created(digest, self._clock.now(), info)

    async def _put_block(self, request: web.Request) -> web.Response:
        block_id = request.query.get("blockid", "")
        blocks = self._blocks(request)
        room = self._max_bytes - await in_thread(blocks.size, block_id)
        incoming = self._store.files.incoming
        await in_thread(lambda: incoming.mkdir(parents=True, exist_ok=True))
        path = incoming / uuid4().hex
        file = await in_thread(lambda: path.open("xb"), undo=lambda made: made.close())
        try:
            digest = await receive(request, room, lambda piece: in_thread(file.write, piece))
            check_md5(request, digest, "Content-MD5")
            await in_thread(file.close)
            await in_thread(blocks.stage, block_id, path)
        finally:
            await in_thread(file.close)
            await in_thread(lambda: path.unlink(missing_ok=True))
        return created(digest, self._clock.now())

    async def _put_block_list(self, request: web.Request) -> web.Response:
        body = bytearray()

        async def extend(piece: bytes) -> None:
            body.extend(piece)

        digest = await receive(request, _MAX_LIST_BYTES, extend)
        check_md5(request, digest, "Content-MD5")
        ids = block_ids(bytes(body))
        blocks = self._blocks(request)
        if await in_thread(blocks.size) > self._max_bytes:  # blocks put side by side may each have seen room
            raise too_large(self._max_bytes)
        files = self._store.files
        content_type = request.headers.get("x-ms-blob-content-type") or "application/octet-stream"
        writer = await in_thread(files.begin, *place(request), content_type, undo=lambda made: made.discard())
        try:
            await in_thread(blocks.join, ids, writer)
            info = await in_thread(writer.commit, condition(request))
        finally:
            await in_thread(writer.discard)
        await in_thread(blocks.discard)
        return created(digest, self._clock.now(), info)

    def _blocks(self, request: web.Request) -> StagedBlocks:
        return StagedBlocks.of(self._store.files, *place(request))
