"""What the disk and SQLite say of the embedded store, in one sentence with what to do about it.

Sources: sqlite.org, "Result and Error Codes"; errno(3).
"""

import errno
import json
from pathlib import Path
from typing import TypeVar

from shared.errors import StorageUnavailable

E = TypeVar("E", bound=StorageUnavailable)

_UNREADABLE = (json.JSONDecodeError, UnicodeDecodeError)
"""All JSON in these files was written by this app: what cannot be read was damaged on the disk."""

DISK_ERRORS = (OSError, *_UNREADABLE)
"""What reading and writing the store's files raises, besides sqlite3.Error."""

DAMAGED = "restore it from a copy, or move it and its -wal and -shm files away to begin with an empty store"
_FULL = "free some space on its disk"
_NOT_WRITABLE = "let this process read and write there, or set DATA_DIR to another folder"
_IN_THE_WAY = "move away what is in its place, or set DATA_DIR to another folder"
_BUSY = "another program has it open: close that one"
_FAILING = "see whether its disk is full, gone or failing"

_SQLITE_ADVICE = {
    3: _NOT_WRITABLE,  # SQLITE_PERM
    5: _BUSY,  # SQLITE_BUSY
    6: _BUSY,  # SQLITE_LOCKED
    8: _NOT_WRITABLE,  # SQLITE_READONLY
    11: DAMAGED,  # SQLITE_CORRUPT
    13: _FULL,  # SQLITE_FULL
    14: f"{_IN_THE_WAY}; {_NOT_WRITABLE}",  # SQLITE_CANTOPEN
    15: _BUSY,  # SQLITE_PROTOCOL
    26: DAMAGED,  # SQLITE_NOTADB
}
"""By number: who works with files alone does not load sqlite3."""

_OS_ADVICE = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EROFS: _NOT_WRITABLE,
    errno.EACCES: _NOT_WRITABLE,
    errno.EPERM: _NOT_WRITABLE,
    errno.EEXIST: _IN_THE_WAY,
    errno.ENOTDIR: _IN_THE_WAY,
    errno.EISDIR: _IN_THE_WAY,
}


def explained(kind: type[E], path: Path, error: BaseException) -> E:
    """One of DISK_ERRORS, or a sqlite3.Error, as an error of ours: which file, what is wrong with it, what to do."""
    place = Path(str(error.filename)) if isinstance(error, OSError) and error.filename else path
    return kind(f"{str(place)!r} cannot be used: {_reason(error)}; {_advice(error)}")


def is_locked(error: BaseException) -> bool:
    """Whether another program's lock is in the way: SQLITE_BUSY or SQLITE_LOCKED."""
    return _kind(error) in (5, 6)


def _kind(error: BaseException) -> int:
    """Of a sqlite3.Error: the first eight bits of its code, the others are details. 0 for any other."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return "what it holds cannot be read" if isinstance(error, _UNREADABLE) else str(error)


def _advice(error: BaseException) -> str:
    if isinstance(error, OSError):
        return _OS_ADVICE.get(error.errno or 0, _FAILING)
    if isinstance(error, _UNREADABLE):
        return "restore DATA_DIR from a copy"
    return _SQLITE_ADVICE.get(_kind(error), _FAILING)
