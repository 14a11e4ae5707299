"""Azure Storage's limits, checked before anything is sent, so that every adapter refuses the same.

Sources, on learn.microsoft.com: "Understanding the Table service data model" (keys, property names, types and sizes),
"Performing entity group transactions" (100 changes, 4 MiB, an entity only once), "Scalability and performance targets
for Table storage" (252 own properties), "Naming and referencing containers, blobs, and metadata" (blob names).

A message names the key and the column, never a value: values may be secrets and messages are logged.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from shared.errors import StorageRefused
from shared.storage.ports import Change, Delete, Scalar

MAX_CHANGES = 100
MAX_TRANSACTION_BYTES = 4 * 1024 * 1024
MAX_KEY_UNITS = 512
"""1 KiB of UTF-16: "up to 1 KiB in size" (data model). The scalability targets say 1,024 characters."""

MAX_STRING_UNITS = 32 * 1024
MAX_ROW_BYTES = 1024 * 1024
MAX_COLUMNS = 252
"""255 less PartitionKey, RowKey and Timestamp."""

MAX_PAGE = 1000
CHUNK_BYTES = 4 * 1024 * 1024

_FORBIDDEN_IN_KEYS = re.compile(r"[/\\#?\u0000-\u001f\u007f-\u009f\ud800-\udfff]")
"""The documented characters, and lone surrogates, which no UTF-8 request can carry."""

_COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
_SYSTEM_COLUMNS = frozenset({"PartitionKey", "RowKey", "Timestamp"})
_STORE_NAME = re.compile(r"[a-z][a-z0-9]{2,62}")
_BLOB_NAME = re.compile(r"[A-Za-z0-9._/-]{1,1024}")
_MAX_BLOB_SEGMENTS = 254

_INT64 = 2**63
_CHANGE_OVERHEAD_BYTES = 1536
"""Headers, boundary and URL of one change inside a transaction's body, rounded up; its keys are counted apart."""


def check_store_name(name: str) -> None:
    """A table's or container's name: 3 to 63 lower-case letters and digits, a letter first (tables demand it)."""
    if not _STORE_NAME.fullmatch(name) or name == "tables":
        raise StorageRefused(f"{name!r} is no name for a table or container: 3 to 63 of a-z and 0-9, a letter first")


def check_key(key: str, what: str = "key") -> None:
    """Raise StorageRefused unless `key` may be a PartitionKey or RowKey; `what` says which one it is."""
    if not isinstance(key, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # None must be refused, not stored
        raise StorageRefused(f"the {what} is not a string")
    if found := _FORBIDDEN_IN_KEYS.search(key):
        raise StorageRefused(f"the {what} {key[:80]!r} holds U+{ord(found[0]):04X}, which Azure Tables does not allow")
    if _utf16_units(key) > MAX_KEY_UNITS:
        raise StorageRefused(f"the {what} {key[:80]!r}... is longer than {MAX_KEY_UNITS} UTF-16 units (1 KiB)")


def check_transaction(partition: str, changes: Sequence[Change]) -> None:
    """Raise StorageRefused unless the service would take these changes as one transaction."""
    check_key(partition, "partition")
    if not 1 <= len(changes) <= MAX_CHANGES:
        raise StorageRefused(f"{len(changes)} changes in one transaction: 1 to {MAX_CHANGES} are possible")
    seen: set[str] = set()
    size = 0
    for change in changes:
        check_key(change.key)
        if change.key in seen:
            raise StorageRefused(f"the key {change.key!r} is in the transaction twice")
        seen.add(change.key)
        size += _CHANGE_OVERHEAD_BYTES + 18 * (len(partition) + len(change.key))
        if not isinstance(change, Delete):
            size += check_row(partition, change.key, change.values)
    if size > MAX_TRANSACTION_BYTES:
        size = sum(_exact_payload_bytes(partition, change) for change in changes)
    if size > MAX_TRANSACTION_BYTES:
        raise StorageRefused(f"the transaction of {len(changes)} changes is larger than 4 MiB")


def check_row(partition: str, key: str, values: Mapping[str, Scalar]) -> int:
    """Raise StorageRefused unless the service holds such a row; returns an upper bound of its JSON form in bytes.

    The row's size is counted as the service does: 4 bytes and both keys, then per property 8 bytes, its name and its
    value; characters are 2 bytes each ("Understanding Windows Azure storage billing", capacity of tables).
    """
    if len(values) > MAX_COLUMNS:
        raise StorageRefused(f"the row {key!r} has {len(values)} columns: {MAX_COLUMNS} are possible")
    stored = 4 + 2 * (_utf16_units(partition) + _utf16_units(key))
    sent = 0
    for name, value in values.items():
        if not _may_be_column(name):
            raise StorageRefused(f"the row {key!r} has a column {name[:80]!r}: no identifier, or a system column")
        # Most are of these two kinds, and every column of a row is looked at with each of its changes.
        if type(value) is str and len(value) <= MAX_STRING_UNITS and value.isascii():
            stored += 12 + 2 * (len(name) + len(value))
            sent += 2 * len(name) + 64 + 12 * len(value)
            continue
        if type(value) is int and -_INT64 <= value < _INT64:
            stored += 16 + 2 * len(name)
            sent += 2 * len(name) + 96
            continue
        stored += 8 + 2 * len(name) + _value_bytes(key, name, value)
        # A character is at most six bytes of JSON per UTF-16 unit; `name@odata.type` comes with every value.
        sent += 2 * len(name) + 64 + (12 * len(value) if isinstance(value, str) else 32)
    if stored > MAX_ROW_BYTES:
        raise StorageRefused(f"the row {key!r} is larger than 1 MiB")
    return sent


@lru_cache(maxsize=1024)
def _may_be_column(name: str) -> bool:
    return _COLUMN.fullmatch(name) is not None and name not in _SYSTEM_COLUMNS


def check_blob_name(name: str) -> None:
    """Raise StorageRefused unless `name` can be a blob's name: see `Container` and "Naming and referencing ...".

    Empty, `.` and `..` segments are refused because clients and proxies rewrite such URLs, and names that end with a
    dot because the service advises against them.
    """
    segments = name.split("/")
    if (
        not _BLOB_NAME.fullmatch(name)
        or any(segment in {"", ".", ".."} for segment in segments)
        or name.endswith(".")
        or len(segments) > _MAX_BLOB_SEGMENTS
    ):
        raise StorageRefused(
            f"{name[:80]!r} is no blob name: 1 to 1024 of A-Z a-z 0-9 . _ - /, no segment empty, . or .., no dot last"
        )


def check_blob_prefix(prefix: str) -> None:
    """Raise StorageRefused unless `prefix` begins with a whole segment: what the embedded store finds blobs by."""
    check_blob_name(f"{prefix}x")
    if "/" not in prefix:
        raise StorageRefused(f"{prefix[:80]!r} is no prefix to list blobs by: it has to hold a whole first segment")


def _value_bytes(key: str, column: str, value: Scalar) -> int:
    """Bytes the service counts for the value, or StorageRefused where it cannot hold it."""
    if isinstance(value, bool):
        return 1
    if isinstance(value, str):
        units = _utf16_units(value)
        if units > MAX_STRING_UNITS:
            raise StorageRefused(f"column {column} of {key!r} is longer than {MAX_STRING_UNITS} UTF-16 units (64 KiB)")
        if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
            raise StorageRefused(f"column {column} of {key!r} holds a lone surrogate")
        return 4 + 2 * units
    if isinstance(value, int):
        if not -_INT64 <= value < _INT64:
            raise StorageRefused(f"column {column} of {key!r} does not fit into 64 bits")
        return 8
    if isinstance(value, float):  # pyright: ignore[reportUnnecessaryIsInstance]  # whatever else came is refused below
        if not math.isfinite(value):
            # Tables would hold these; JSON, which the rest of the app speaks, has no word for them.
            raise StorageRefused(f"column {column} of {key!r} is not a finite number")
        return 8
    raise StorageRefused(f"column {column} of {key!r} is a {type(value).__name__}, not a str, int, float or bool")


def _exact_payload_bytes(partition: str, change: Change) -> int:
    """What the change takes in a transaction's body: JSON with a type annotation for every string and integer."""
    keys = 18 * (len(partition) + len(change.key))
    if isinstance(change, Delete):
        return _CHANGE_OVERHEAD_BYTES + keys
    annotations = sum(len(name) + 32 for name in change.values)
    return _CHANGE_OVERHEAD_BYTES + keys + len(json.dumps(dict(change.values))) + annotations


def _utf16_units(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2
