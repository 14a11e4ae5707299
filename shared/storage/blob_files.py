"""Blobs as files: what lies on the disk, and the order of steps that makes it crash-safe. Blocking; no event loop.

    DATA_DIR/blobs/{container}/{sha256 of the name}    a line of JSON (what `BlobInfo` holds), then the data
    DATA_DIR/blobs/.incoming/{random}                  being written

One file holds a blob and what is known of it, so one rename makes it visible, whole. File names are digests: blob
names are case-sensitive, may be long, and `a` and `a/b` may both exist, none of which file systems promise.
"""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from shared.errors import StorageConflict, StorageUnavailable
from shared.frozen import frozen
from shared.storage.disk_errors import DISK_ERRORS, explained
from shared.storage.limits import check_blob_name, check_blob_prefix, check_store_name
from shared.storage.ports import BlobInfo

_COMMIT = threading.Lock()
"""Makes "look whether the condition holds, then rename" one step. One process owns a DATA_DIR, so this is enough."""

Condition = Callable[[BlobInfo | None], None]
"""Looks at what is there before it is replaced; raises StorageConflict to refuse."""


@frozen
class BlobFiles:
    """The blobs below one DATA_DIR."""

    data_dir: Path
    time: Callable[[], float] = time.time
    """Seconds since the epoch, as files carry them."""
    abandoned_seconds: float = 24 * 3600
    """Age after which blocks that nobody has joined count as left behind."""
    replace_pauses: tuple[float, ...] = (0.01, 0.05, 0.2)
    """Seconds between tries to replace what somebody has open (Windows)."""

    def path(self, container: str, name: str) -> Path:
        """Where a blob lies; raises StorageRefused for names no blob can have."""
        check_store_name(container)
        check_blob_name(name)
        return self.data_dir / "blobs" / container / f"{_family(name)}{sha256(name.encode()).hexdigest()}"

    @property
    def incoming(self) -> Path:
        return self.data_dir / "blobs" / ".incoming"

    def check(self) -> None:
        """Raises OSError where no file can be made: a folder that is there may lie on a disk that is read-only."""
        self.incoming.mkdir(parents=True, exist_ok=True)
        probe = self.incoming / uuid4().hex
        probe.touch(exist_ok=False)
        probe.unlink(missing_ok=True)  # the process that has the directory may remove it as well

    def info(self, container: str, name: str) -> BlobInfo | None:
        opened = self.open(container, name)
        if opened is None:
            return None
        file, info, _ = opened
        file.close()
        return info

    def open(self, container: str, name: str) -> tuple[BinaryIO, BlobInfo, int] | None:
        """The open file, what it holds, and the offset of the data; None where there is no such blob."""
        try:
            file = self.path(container, name).open("rb")
        except FileNotFoundError:
            return None
        try:
            header = file.readline()
            fields = json.loads(header)
            size = os.fstat(file.fileno()).st_size - len(header)
            return file, BlobInfo(name, size, fields["etag"], fields["content_type"]), len(header)
        except BaseException as error:
            file.close()
            if isinstance(error, DISK_ERRORS):
                raise explained(StorageUnavailable, self.path(container, name), error) from error
            raise

    def containers(self) -> list[str]:
        """The containers that have had blobs."""
        return sorted(path.name for path in listed(self.data_dir / "blobs") if path.is_dir() and path.name[0] != ".")

    def all_names(self, container: str) -> list[str]:
        """Of a container's blobs, in the order of their files."""
        check_store_name(container)
        found: list[str] = []
        for path in sorted(listed(self.data_dir / "blobs" / container)):
            with suppress(FileNotFoundError, IsADirectoryError), path.open("rb") as file:
                found.append(str(json.loads(file.readline())["name"]))
        return found

    def names(self, container: str, prefix: str, limit: int) -> list[str]:
        """The names of blobs that begin with `prefix`, at most `limit`; no file is opened that cannot be one."""
        check_store_name(container)
        check_blob_prefix(prefix)
        family, found = _family(prefix), list[str]()
        for path in listed(self.data_dir / "blobs" / container):
            if not path.name.startswith(family):
                continue
            with suppress(FileNotFoundError), path.open("rb") as file:
                name = json.loads(file.readline())["name"]
                if name.startswith(prefix):
                    found.append(name)
            if len(found) == limit:
                break
        return found

    def delete(self, container: str, name: str) -> bool:
        path = self.path(container, name)
        try:
            with _COMMIT:
                path.unlink()
        except FileNotFoundError:
            return False
        _sync_directory(path.parent)
        return True

    def begin(self, container: str, name: str, content_type: str) -> "BlobWriter":
        """A blob in the making: `write` its data, then `commit` or `discard`."""
        return BlobWriter(self, container, name, content_type)

    def discard_incoming(self) -> None:
        """Remove what a process that died was writing: for the one that has just got the directory."""
        for path in listed(self.incoming):
            with suppress(OSError):
                path.unlink()

    def is_abandoned(self, path: Path) -> bool:
        """Whether nobody has added to a directory of blocks for so long that nobody will."""
        return path.stat().st_mtime < self.time() - self.abandoned_seconds

    def replace(self, source: Path, target: Path) -> None:
        """Rename; on Windows an open reader holds the target, which is over in a moment."""
        for pause in (*self.replace_pauses, None):
            try:
                os.replace(source, target)
            except PermissionError as error:
                if pause is None:
                    raise StorageUnavailable(f"{target} is being read and cannot be replaced") from error
                time.sleep(pause)
            else:
                return


class BlobWriter:
    """Data on its way to becoming a blob. Nothing is visible before `commit` returns."""

    def __init__(self, files: BlobFiles, container: str, name: str, content_type: str) -> None:
        self._files = files
        self._place = (container, name)
        self._target = files.path(container, name)
        self._etag = f'"0x{uuid4().hex[:16].upper()}"'
        self._content_type = content_type
        self._size = 0
        files.incoming.mkdir(parents=True, exist_ok=True)
        self._path = files.incoming / uuid4().hex
        self._file = self._path.open("xb")
        header = {"name": name, "etag": self._etag, "content_type": content_type}
        self._file.write(json.dumps(header).encode() + b"\n")

    def write(self, chunk: bytes) -> None:
        self._file.write(chunk)
        self._size += len(chunk)

    def commit(self, condition: Condition) -> BlobInfo:
        """Make it durable, check `condition` against what is there now, and put it in its place."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with _COMMIT:
                condition(self._files.info(*self._place))
                self._files.replace(self._path, self._target)
        except BaseException:
            self.discard()
            raise
        _sync_directory(self._target.parent)
        return BlobInfo(self._place[1], self._size, self._etag, self._content_type)

    def discard(self) -> None:
        """Forget it; harmless after `commit`."""
        self._file.close()
        self._path.unlink(missing_ok=True)


def _family(name: str) -> str:
    """How the file names of all blobs begin that have their first segment in common."""
    return sha256(name.partition("/")[0].encode()).hexdigest()[:16]


def anything(_: BlobInfo | None) -> None:
    """The condition that always holds."""


def nothing_there(found: BlobInfo | None) -> None:
    """The condition of an insert."""
    if found is not None:
        raise StorageConflict(f"the blob {found.name!r} exists")


def _sync_directory(directory: Path) -> None:
    """Make a rename or removal durable; Windows has no such call."""
    with suppress(OSError):
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def listed(directory: Path) -> Iterator[Path]:
    with suppress(FileNotFoundError):
        yield from directory.iterdir()
