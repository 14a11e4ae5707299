"""One process per DATA_DIR, held by a lock that dies with its process, `kill -9` included."""

import os
import sys
from pathlib import Path

from shared.errors import StorageUnusable
from shared.storage.disk_errors import explained


class DirectoryLock:
    """Taken on creation. Raises StorageUnusable: a process holds it, which is named; or nobody can write there."""

    def __init__(self, directory: Path) -> None:
        self._file = -1
        try:
            directory.mkdir(parents=True, exist_ok=True)
            path = directory / "in-use-by"
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            if not _try_lock(self._file):
                holder = path.read_text().strip() or "unknown"
                raise StorageUnusable(
                    f"DATA_DIR {str(directory.resolve())!r} is in use by process {holder}: stop that process, "
                    "or give this one a DATA_DIR of its own"
                )
            os.ftruncate(self._file, 0)
            os.write(self._file, str(os.getpid()).encode())
        except BaseException as error:
            self.release()
            if isinstance(error, OSError):
                raise explained(StorageUnusable, directory, error) from error
            raise

    def release(self) -> None:
        """Closing the file lets the lock go; harmless when done twice."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: int) -> bool:
        """Lock one byte far behind the text, so that others can still read who holds it."""
        os.lseek(file, 1 << 30, os.SEEK_SET)
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        os.lseek(file, 0, os.SEEK_SET)
        return True
else:
    import fcntl

    def _try_lock(file: int) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
