"""The files of one claim: on their way to the store while they are written, under names of the claim's own.

    {run id}/file-{fence}-{number}

What is overtaken overwrites nothing. What is no result goes at the end of the claim, as far as the store lets it,
and in any case with the record: where a result is a file, all blobs of its run are removed.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

from shared.actions.files import (
    File,
    FileContent,
    FileResult,
    FileUploads,
    Upload,
    WrittenFile,
    is_bytes,
    not_bytes,
    undeclared,
    unfinished,
)
from shared.errors import ActionFailed, RequestError, StorageError
from shared.model.operation import Operation, Payload
from shared.operations.off_loop import off_loop
from shared.operations.records import OperationRecords

DOWNLOAD_LIFETIME = timedelta(minutes=15)
MAX_ANSWERED_FILE = 32 * 1024 * 1024
"""Bytes: a Python function's answer is one object in memory, and one message to the host."""

_PIECE = 1024 * 1024
"""Bytes that are handed over at once: few enough for many files at a time, many enough for a thread."""


Read = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Calls what reads of a content, in a thread that nobody else waits for."""


class ResultFiles(FileUploads):
    """Used on the loop of its attempt."""

    def __init__(
        self, records: OperationRecords, claimed: Operation, *, limit: int | None, check_open: Callable[[], None]
    ) -> None:
        """`limit`: bytes of a file; None where the action returns none. `check_open` raises once it is over."""
        self._records = records
        self._operation = claimed
        self._limit = limit
        self._check_open = check_open
        self._begun: list[_Upload] = []

    async def begin(self, file: File) -> Upload:
        self._check_open()
        if self._limit is None:
            raise undeclared()
        operation = self._operation
        name = f"{_prefix(operation)}{operation.fence}-{len(self._begun) + 1}"
        upload = _Upload(self._records, name, file, limit=self._limit, check_open=self._check_open)
        self._begun.append(upload)
        return upload

    async def store(self, file: File, *, check: Callable[[], object], read: Read) -> Payload:
        """What a handler has returned, as it is stored. `check` raises where the operation was asked to stop.

        Raises ActionFailed, ActionCanceled, and what its content raises.
        """
        if file.stored is not None and any(each.stored is file.stored for each in self._begun):
            return file.stored
        return await written(file, self, check=check, read=read)

    async def tidy(self, kept: Payload | None) -> None:
        """Remove all files of the claim but the one that the record names; and with that those of earlier claims."""
        for each in self._begun:
            if kept is None or each.name != kept.blob:
                await each.discard()
        if kept is None or (self._operation.fence == 1 and len(self._begun) == 1):
            return
        with suppress(StorageError):
            for name in await self._records.blobs(_prefix(self._operation)):
                if name != kept.blob:
                    await self._records.drop_blob(name)


class _Upload(Upload):
    """One blob, written by a task of its own that is handed one piece after another."""

    def __init__(
        self, records: OperationRecords, name: str, file: File, *, limit: int, check_open: Callable[[], None]
    ) -> None:
        self._records = records
        self.name = name
        self.file = file
        self._limit = limit
        self._check_open = check_open
        self._writing = asyncio.Lock()
        """One write at a time: what is hashed has the order of what is stored."""
        self._waiting = bytearray()
        self._size = 0
        self._digest = sha256()
        self._queue = asyncio.Queue[bytes | None](maxsize=1)
        self._task: asyncio.Task[None] | None = None
        self._stored: Payload | None = None
        self._is_discarded = False

    @property
    def stored(self) -> Payload | None:
        return self._stored

    async def write(self, data: bytes) -> None:
        if not is_bytes(data):
            raise not_bytes(data)
        self._check_open()
        try:
            async with self._writing:
                await self._add(data)
        except BaseException:
            # Bytes are missing in it now, whatever its handler does next.
            await self.discard()
            raise

    async def _add(self, data: bytes) -> None:
        with memoryview(data) as given, given.cast("B") as view:
            self._size += len(view)
            if self._size > self._limit:
                message = (
                    f"The file has more than {self._limit} bytes; the setting MAX_FILE_BYTES says how many it may."
                )
                raise ActionFailed("FileTooLarge", message, status_code=500)
            for offset in range(0, len(view), _PIECE):
                self._waiting += view[offset : offset + _PIECE]
                while len(self._waiting) >= _PIECE:
                    piece = bytes(self._waiting[:_PIECE])
                    del self._waiting[:_PIECE]
                    await self._send(piece)

    async def finish(self) -> None:
        self._check_open()
        try:
            if self._is_discarded:
                raise unfinished()
            rest, self._waiting = bytes(self._waiting), bytearray()
            if self._task is None:
                # One request stores it whole.
                self._digest.update(rest)
                task = self._begin(rest)
            else:
                await self._send(rest)
                await self._hand_over(None)
                task = self._task
            await self._ended(task)
        except BaseException:
            await self.discard()
            raise
        digest = self._digest.hexdigest()
        content_type, file_name = self.file.content_type, self.file.file_name
        self._stored = Payload(content_type, self._size, digest, blob=self.name, file_name=file_name)

    async def discard(self) -> None:
        self._stored, self._is_discarded = None, True
        self._waiting.clear()
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        await asyncio.wait({task})
        with suppress(StorageError):
            await self._records.drop_blob(self.name)

    async def _send(self, piece: bytes) -> None:
        await off_loop(len(piece), self._digest.update, piece)
        if self._task is None and not self._is_discarded:
            self._begin(self._handed_over())
        await self._hand_over(piece)

    def _begin(self, content: bytes | AsyncIterator[bytes]) -> "asyncio.Task[None]":
        work = self._records.store_file(self.name, content, content_type=self.file.content_type)
        self._task = asyncio.create_task(work, name=f"file {self.name}")
        return self._task

    async def _hand_over(self, piece: bytes | None) -> None:
        """Wait until there is room for one more. Raises ActionFailed where the store has not taken those before."""
        task = self._task
        if task is None:
            # Another end of the attempt has discarded it.
            raise unfinished()
        handing = asyncio.ensure_future(self._queue.put(piece))
        try:
            await asyncio.wait({handing, task}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            handing.cancel()
        if not handing.done() or (task.done() and not task.cancelled() and task.exception() is not None):
            await self._ended(task)

    async def _ended(self, task: "asyncio.Task[None]") -> None:
        await asyncio.wait({task})
        if task.cancelled():
            raise unfinished()
        if isinstance(error := task.exception(), StorageError):
            message = "Storage did not take the file."
            raise ActionFailed("ResultNotStored", message, status_code=500, retryable=True) from error
        task.result()

    async def _handed_over(self) -> AsyncIterator[bytes]:
        while (piece := await self._queue.get()) is not None:
            if piece:
                yield piece


async def told_of(file: Payload, records: OperationRecords, now: datetime) -> bytes:
    """The JSON that callers get for a file, with a new URL to read it."""
    url = await records.download_url(file, lifetime=DOWNLOAD_LIFETIME)
    known = FileResult(
        file_name=file.file_name,
        content_type=file.content_type,
        size=file.size,
        sha256=file.sha256,
        download_url=url,
        # The URL has whole seconds.
        download_url_expires_at=now.replace(microsecond=0) + DOWNLOAD_LIFETIME,
    )
    return known.model_dump_json(by_alias=True).encode()


def check_answered(file: Payload) -> None:
    """Raise RequestError 409 UseDownloadUrl for a file that is too large for an answer of a function."""
    if file.size > MAX_ANSWERED_FILE:
        message = (
            f"The file has {file.size} bytes, and an answer has {MAX_ANSWERED_FILE} at most: GET the `downloadUrl` in "
            "the result of the operation's monitor."
        )
        raise RequestError(409, "UseDownloadUrl", message)


def _prefix(operation: Operation) -> str:
    return f"{operation.run_id}/file-"


async def written(file: File, uploads: FileUploads, *, check: Callable[[], object], read: Read) -> Payload:
    """The content of a file, as it is stored. `check` raises where the operation was asked to stop."""
    if isinstance(file, WrittenFile):
        # Not whole, or of another operation: then it goes with that one's record.
        raise unfinished()
    upload = await uploads.begin(file)
    try:
        async for piece in pieces(file.content, read):
            check()
            await upload.write(piece)
        await upload.finish()
    except BaseException:
        await upload.discard()
        raise
    assert upload.stored is not None, "it has finished"
    return upload.stored


async def pieces(content: FileContent, read: Read) -> AsyncIterator[bytes]:
    """The content, piece by piece, of any sizes; what would hold up the event loop comes from a thread."""
    if isinstance(content, bytes | bytearray | memoryview):
        yield bytes(content)
    elif isinstance(content, Path):
        file: BinaryIO = await read(partial(content.open, "rb"))
        try:
            while piece := await read(partial(file.read, _PIECE)):
                yield piece
        finally:
            await read(file.close)
    elif isinstance(content, AsyncIterable):
        async for piece in content:
            yield piece
    else:
        iterator = iter(content)
        while found := await read(partial(_some, iterator)):
            for piece in found:
                yield piece


def _some(iterator: Iterator[Any]) -> list[bytes]:
    """The next pieces, as many as are worth a trip to a thread."""
    found: list[bytes] = []
    size = 0
    for piece in iterator:
        if not is_bytes(piece):
            raise not_bytes(piece)
        found.append(piece)
        size += len(piece) + 1
        if size >= _PIECE:
            break
    return found
