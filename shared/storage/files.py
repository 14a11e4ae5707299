"""The container port on a directory, `DATA_DIR/blobs`: the embedded default. File I/O runs in threads.

Its signed URLs are answered by `local_host.uploads` and `local_host.downloads`, through the same `BlobFiles`.
"""

import asyncio
import os
import secrets
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar

from shared.errors import SettingsError, StorageConflict, StorageError, StorageUnavailable, StorageUnusable
from shared.frozen import frozen
from shared.model.timing import Clock
from shared.storage import signed_urls
from shared.storage.blob_files import BlobFiles, anything, listed, nothing_there
from shared.storage.connection import DEVELOPMENT_ACCOUNT
from shared.storage.disk_errors import explained
from shared.storage.limits import CHUNK_BYTES, check_blob_name, check_store_name
from shared.storage.ports import BlobInfo, BlobReader, Container
from shared.storage.staged_blocks import StagedBlocks, sweep
from shared.system_clock import SystemClock

T = TypeVar("T")

_KEY_BYTES = 32
_KEY_NAME = "upload-key"


class FileBlobs:
    """All containers below one DATA_DIR. `site_hostname` is the host and port signed URLs point at."""

    def __init__(self, data_dir: Path, *, site_hostname: str | None = None, clock: Clock | None = None) -> None:
        self.files = BlobFiles(data_dir)
        self._clock = clock or SystemClock()
        self._site_hostname = site_hostname
        self._key: bytes | None = None

    def container(self, name: str) -> Container:
        check_store_name(name)
        return _FileContainer(self, name)

    def check(self) -> None:
        """Raises StorageUnusable where no blob could be written, or the key of signed URLs not be read."""
        with self._explained():
            self.files.check()
            with suppress(FileNotFoundError):
                (self.files.data_dir / _KEY_NAME).read_bytes()

    def discard_unfinished(self) -> None:
        """Remove what a process that died was writing. For the process that has just got the directory; blocks.

        Raises StorageUnusable where something else is in the way.
        """
        with self._explained():
            self.files.discard_incoming()
            for path in listed(self.files.data_dir):
                if path.name.startswith(f"{_KEY_NAME}."):
                    path.unlink(missing_ok=True)
            sweep(self.files)

    @contextmanager
    def _explained(self) -> Generator[None]:
        try:
            yield
        except OSError as error:
            raise explained(StorageUnusable, self.files.data_dir, error) from error

    async def names(self) -> list[str]:
        """The containers that have had blobs."""
        return await in_thread(self.files.containers)

    async def blobs(self, container: str) -> AsyncIterator[str]:
        """The names of a container's blobs."""
        for name in await in_thread(self.files.all_names, container):
            yield name

    async def aclose(self) -> None:
        """Nothing is held open between calls."""

    async def signed_url(
        self, container: str, name: str, permission: str, lifetime_seconds: int, *, disposition: str = ""
    ) -> str:
        if not self._site_hostname:
            raise SettingsError("WEBSITE_HOSTNAME is not set: a signed URL needs the host and port of this site")
        path = signed_urls.blob_path(DEVELOPMENT_ACCOUNT, container, name)
        query = signed_urls.signed_query(
            await self._upload_key(),
            container,
            name,
            permission=permission,
            now=self._clock.now(),
            lifetime_seconds=lifetime_seconds,
            disposition=disposition,
        )
        return f"http://{self._site_hostname}{path}?{query}"

    async def granted(self, container: str, name: str, query: Mapping[str, str], now: datetime) -> str:
        """The permission that `query` gives for exactly this blob, where it came from `signed_url`; else nothing."""
        return signed_urls.granted(await self._upload_key(), container, name, query, now)

    async def _upload_key(self) -> bytes:
        if self._key is None:
            self._key = await in_thread(_load_key, self.files.data_dir / _KEY_NAME)
        return self._key


class _FileContainer:
    def __init__(self, store: FileBlobs, name: str) -> None:
        self._store = store
        self._files = store.files
        self._name = name

    async def put(
        self, name: str, data: bytes | AsyncIterable[bytes], *, content_type: str, overwrite: bool = True
    ) -> BlobInfo:
        writer = await in_thread(self._files.begin, self._name, name, content_type, undo=lambda made: made.discard())
        try:
            if isinstance(data, bytes):
                await in_thread(writer.write, data)
            else:
                async for chunk in data:
                    await in_thread(writer.write, chunk)
            return await in_thread(writer.commit, anything if overwrite else nothing_there)
        finally:
            await in_thread(writer.discard)

    async def info(self, name: str) -> BlobInfo | None:
        return await in_thread(self._files.info, self._name, name)

    async def delete(self, name: str) -> bool:
        """Blocks that were put and never joined go as well, as on Azure."""
        await in_thread(StagedBlocks.of(self._files, self._name, name).discard)
        return await in_thread(self._files.delete, self._name, name)

    async def list(self, prefix: str, *, limit: int = 1000) -> Sequence[str]:
        return await in_thread(self._files.names, self._name, prefix, limit)

    async def upload_url(self, name: str, *, lifetime_seconds: int) -> str:
        check_blob_name(name)
        return await self._store.signed_url(self._name, name, signed_urls.WRITE, lifetime_seconds)

    async def download_url(self, name: str, *, lifetime_seconds: int, disposition: str) -> str:
        check_blob_name(name)
        return await self._store.signed_url(
            self._name, name, signed_urls.READ, lifetime_seconds, disposition=disposition
        )

    @asynccontextmanager
    async def open(self, name: str, *, if_match: str | None = None) -> AsyncGenerator[BlobReader | None, None]:
        opened = await in_thread(self._files.open, self._name, name, undo=_close)
        if opened is None:
            yield None
            return
        file, info, offset = opened
        try:
            if if_match is not None and info.etag != if_match:
                raise StorageConflict(f"the blob {name!r} has changed")
            yield _FileReader(file, info, offset, partial(self._files.info, self._name, name))
        finally:
            await in_thread(file.close)


@frozen
class _FileReader:
    """The open file keeps its data after a replacement; readers are told nevertheless, as on Azure."""

    _file: BinaryIO
    info: BlobInfo
    _offset: int
    _look_again: Callable[[], BlobInfo | None]

    async def chunks(self) -> AsyncIterator[bytes]:
        position = self._offset
        while True:
            chunk = await in_thread(self._read, position)
            if not chunk:
                return
            position += len(chunk)
            yield chunk
            del chunk  # Else two are held while the next one is read.

    def _read(self, position: int) -> bytes:
        if position > self._offset:  # the first chunk is what was there when the blob was opened
            found = self._look_again()
            if found is None or found.etag != self.info.etag:
                raise StorageConflict(f"the blob {self.info.name!r} has changed while it was read")
        self._file.seek(position)
        return self._file.read(CHUNK_BYTES)


def _close(opened: tuple[BinaryIO, BlobInfo, int] | None) -> None:
    if opened is not None:
        opened[0].close()


async def in_thread(function: Callable[..., T], *arguments: object, undo: Callable[[T], object] | None = None) -> T:
    """Run blocking file I/O off the event loop; an OSError is a StorageUnavailable.

    The thread cannot be interrupted, so a cancelled caller waits for it: otherwise its clean-up would meet the file
    still in use. `undo` then gets what the thread made, which nobody else would.
    """
    task = asyncio.ensure_future(asyncio.to_thread(function, *arguments))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        with suppress(Exception):
            made = await task
            if undo is not None:
                await asyncio.to_thread(undo, made)
        raise
    except StorageError:
        raise
    except OSError as error:
        raise explained(StorageUnavailable, Path("DATA_DIR"), error) from error


def _load_key(path: Path) -> bytes:
    """The directory's signing key, made on first use; readable by its owner only. Two makers agree on one key."""
    with suppress(FileNotFoundError):
        return path.read_bytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(secrets.token_bytes(_KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
    try:
        with suppress(FileExistsError):
            os.link(fresh, path)  # unlike a rename, never replaces the key of a faster maker
    finally:
        fresh.unlink()
    return path.read_bytes()
