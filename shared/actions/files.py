"""Files as results: what a handler returns or writes, and what its callers are told of it."""

from collections.abc import AsyncIterable, Callable, Coroutine, Iterable
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from shared.actions.models import Model
from shared.errors import ActionFailed
from shared.model.files import DEFAULT_TYPE, default_name, is_file_name, is_media_type
from shared.model.operation import Payload

FileContent = bytes | Path | Iterable[bytes] | AsyncIterable[bytes]
"""Bytes; a file on this machine; or pieces, in any sizes. What is not asynchronous is read in a thread of its own."""


_BUFFER = 256 * 1024


class FileResult(Model):
    """A file as the result of an operation: what is known of it, and where it is fetched."""

    file_name: str
    content_type: str
    size: int
    """Bytes."""
    sha256: str
    """Of the content, in hex."""
    download_url: str
    """GET reads the file, also in ranges. Each read of the operation makes a new one."""
    download_url_expires_at: datetime
    """15 minutes after it was made."""


class Upload(Protocol):
    """A file on its way to the store. Nothing is there before `finish` has returned."""

    @property
    def stored(self) -> Payload | None:
        """What was stored; None until it is whole."""
        ...

    async def write(self, data: bytes) -> None:
        """Raises ActionFailed FileTooLarge, ResultNotStored, InvalidFile; ActionCanceled where the attempt is over."""
        ...

    async def finish(self) -> None: ...

    async def discard(self) -> None:
        """Leave nothing of it, as far as the store lets that be done now."""
        ...


class FileUploads(Protocol):
    """What an attempt offers to who writes a file."""

    async def begin(self, file: "File") -> Upload:
        """Raises ActionFailed where the action does not return a file, ActionCanceled where the attempt is over."""
        ...


class File:
    """A file that is the result of an action: `-> File`, `return File(content, file_name="books.csv", ...)`.

    What is large is written piece by piece, with `context.result_file`, or comes from a generator.
    """

    def __init__(self, content: FileContent, *, file_name: str | None = None, content_type: str = DEFAULT_TYPE) -> None:
        """`file_name` is what it is saved as; `result`, with the type's ending, where it is left out.

        Raises ActionFailed InvalidFile for a name or a media type that could not be sent.
        """
        if not is_media_type(content_type):
            raise _invalid(f"content_type is {str(content_type)[:80]!r}: write a media type such as 'text/csv'")
        if file_name is not None and not is_file_name(file_name):
            raise _invalid(f"file_name is {str(file_name)[:80]!r}: write a name without a path, such as 'books.csv'")
        if not _is_content(content):
            kind = type(content).__name__
            raise _invalid(f"its content is of type {kind}: give bytes, a Path, or pieces of bytes one after another")
        self.content = content
        self.content_type = content_type
        self.file_name = file_name or default_name(content_type)

    @property
    def stored(self) -> Payload | None:
        """What is in the store already; None where `content` is all there is."""
        return None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.file_name!r}, {self.content_type}>"


class WrittenFile(File):
    """A file that its handler writes: what an attempt does with the bytes."""

    def __init__(self, uploads: FileUploads, file_name: str | None, content_type: str) -> None:
        super().__init__(b"", file_name=file_name, content_type=content_type)
        self._uploads = uploads
        self._upload: Upload | None = None
        self._is_open = False

    @property
    def stored(self) -> Payload | None:
        return self._upload.stored if self._upload is not None else None

    async def _begin(self) -> None:
        if self._upload is not None:
            raise _invalid("it was begun twice: call `context.result_file` for each file")
        self._upload = await self._uploads.begin(self)
        self._is_open = True

    async def _write(self, data: bytes) -> None:
        if self._upload is None or not self._is_open:
            raise _invalid("it is written in its own `with` block, and not after it")
        await self._upload.write(data)

    async def _end(self, *, failed: bool) -> None:
        assert self._upload is not None, "its block has begun"
        self._is_open = False
        await (self._upload.discard() if failed else self._upload.finish())


class ResultFile(WrittenFile):
    """A file that an async handler writes: `async with context.result_file(...) as file`, then `return file`."""

    async def write(self, data: bytes) -> None:
        """Add bytes. Raises ActionFailed FileTooLarge, ResultNotStored, InvalidFile."""
        await self._write(data)

    async def __aenter__(self) -> Self:
        await self._begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end(failed=kind is not None)


class SyncResultFile(WrittenFile):
    """As `ResultFile`, for a `def` handler: `with context.result_file(...) as file`.

    What wants a file to write to, such as `zipfile.ZipFile`, can be given it.
    """

    def __init__(
        self,
        uploads: FileUploads,
        file_name: str | None,
        content_type: str,
        wait_for: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        super().__init__(uploads, file_name, content_type)
        self._wait_for = wait_for
        self._waiting = bytearray()

    def write(self, data: bytes) -> int:
        """Add bytes; their number. Raises as `ResultFile.write`, where that shows with this write or a later one."""
        if not is_bytes(data):
            raise not_bytes(data)
        if self._is_open:
            # A trip to the event loop for every few bytes would take longer than all else.
            self._waiting += data
        if len(self._waiting) >= _BUFFER or not self._is_open:
            self.flush()
        return len(data)

    def flush(self) -> None:
        """Hand over what was written."""
        data, self._waiting = bytes(self._waiting), bytearray()
        self._wait_for(self._write(data))

    def __enter__(self) -> Self:
        self._wait_for(self._begin())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        failed = kind is not None
        try:
            if not failed:
                self.flush()
        except BaseException:
            failed = True
            raise
        finally:
            self._wait_for(self._end(failed=failed))


def is_bytes(data: object) -> bool:
    """Whether it can be a piece of a file."""
    return isinstance(data, bytes | bytearray | memoryview)


def _is_content(given: object) -> bool:
    return isinstance(given, bytes | Path | Iterable | AsyncIterable) and not isinstance(given, str)


def not_bytes(data: object) -> ActionFailed:
    """What is said of a piece of a file that is no bytes."""
    return _invalid(f"a piece of it is of type {type(data).__name__}: write bytes, and a text with .encode()")


def unfinished() -> ActionFailed:
    """What is said of a file that was returned, and never became whole."""
    return _invalid("it is not whole: return it after its `with` block, and only where that has not raised")


def undeclared() -> ActionFailed:
    """What is said of a file that the action does not declare."""
    return _invalid("the action does not return one: write `-> File`")


def _invalid(reason: str) -> ActionFailed:
    return ActionFailed("InvalidFile", f"The file cannot be a result: {reason}.", status_code=500)
