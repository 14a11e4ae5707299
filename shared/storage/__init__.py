"""What user code imports to read and write rows and blobs; no adapter is loaded by it."""

# ruff: noqa: F401
# pyright: reportUnusedImport=false
# Type checkers read the names here, the interpreter in the table below.
from typing import TYPE_CHECKING

from shared.lazy import exported

if TYPE_CHECKING:
    from shared.errors import StorageAnswerLost, StorageConflict, StorageError, StorageRefused, StorageUnavailable
    from shared.model.times import read_time, write_time
    from shared.storage.contention import backoff
    from shared.storage.limits import MAX_CHANGES
    from shared.storage.pages import row_pages
    from shared.storage.ports import (
        BlobInfo,
        BlobReader,
        Container,
        Delete,
        Insert,
        Merge,
        Replace,
        Row,
        Scalar,
        Storage,
        Table,
        Upsert,
    )
    from shared.storage.writes import write_once

_MODULES = {
    "shared.errors": "StorageAnswerLost StorageConflict StorageError StorageRefused StorageUnavailable",
    "shared.model.times": "read_time write_time",
    "shared.storage.contention": "backoff",
    "shared.storage.limits": "MAX_CHANGES",
    "shared.storage.pages": "row_pages",
    "shared.storage.ports": "BlobInfo BlobReader Container Delete Insert Merge Replace Row Scalar Storage Table Upsert",
    "shared.storage.writes": "write_once",
}

__getattr__ = exported(__name__, _MODULES, globals())
