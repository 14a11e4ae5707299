"""The two hot calls of the Table service as bytes: a point read and an entity-group transaction. Pure.

The sources of the rules, all at learn.microsoft.com, "Table Storage REST API": "Query Entities", "Performing entity
group transactions", "Payload format for Table Storage operations", "Authorize with Shared Key".
"""

import base64
import hmac
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from shared.storage.azure_errors import TransactionRefused, UnreadableAnswer
from shared.storage.ports import Change, Delete, Insert, Row, Scalar, Upsert

VERSION = "2019-02-02"
"""Of the service, as azure-data-tables asks for it."""
READ_HEADERS = {"Accept": "application/json;odata=minimalmetadata", "DataServiceVersion": "3.0"}

_SYSTEM = frozenset({"PartitionKey", "RowKey", "Timestamp"})
_TYPE = "@odata.type"
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})")
_ETAG = re.compile(rb"^etag:[ \t]*([^\r\n]+)", re.IGNORECASE | re.MULTILINE)
_BOUNDARY = re.compile(rb"boundary=\"?([^\s;\"]+)", re.IGNORECASE)
_FAILING = re.compile(r"(\d+):")


def entity_path(table: str, partition: str, key: str) -> str:
    """Of one row below the endpoint, encoded. A quote inside a key is doubled."""
    return f"{table}(PartitionKey='{_key(partition)}',RowKey='{_key(key)}')"


def read_target(table: str, partition: str, key: str, columns: Sequence[str] | None) -> str:
    """Path and query of a point read; `columns` are those that are wanted, None for all."""
    path = entity_path(table, partition, key)
    return path if columns is None else f"{path}?$select={quote(','.join(['RowKey', *columns]), safe='')}"


def read_row(partition: str, key: str, body: bytes, etag: str) -> Row:
    """The row in the answer to a point read. Raises UnreadableAnswer for what is none."""
    try:
        values = _values(json.loads(body))
    except (ValueError, TypeError, AttributeError) as error:
        raise UnreadableAnswer(f"the store's answer is no row: {error}") from error
    return Row(partition, key, values, etag)


def _values(members: Mapping[str, Any]) -> dict[str, Scalar]:
    """The columns; the name of a member that only tells of others has a `.`, which no column has."""
    types = {name.removesuffix(_TYPE): edm_type for name, edm_type in members.items() if name.endswith(_TYPE)}
    return {
        # Most are text, and need no look at their type.
        name: value if type(value) is str and name not in types else _value(value, types.get(name))
        for name, value in members.items()
        if value is not None and "." not in name and name not in _SYSTEM
    }


def _value(value: Any, edm_type: str | None) -> Scalar:
    """Numbers come as text where JSON has none for them; what we never write (dates, guids, bytes) stays text."""
    match edm_type:
        case "Edm.Int64":
            return int(value)
        case "Edm.Double":
            return float(value)
        case _:
            return value if isinstance(value, str | int | float | bool) else str(value)


def write_columns(values: Mapping[str, Scalar]) -> dict[str, Any]:
    """As JSON with types: a plain number would be an Int32, and refused above 2^31."""
    members: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, bool | str):
            members[name] = value
        elif isinstance(value, int):
            members[f"{name}{_TYPE}"], members[name] = "Edm.Int64", str(value)
        else:
            members[f"{name}{_TYPE}"], members[name] = "Edm.Double", _double(value)
    return members


def _double(value: float) -> float | str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def transaction(
    endpoint: str, table: str, partition: str, changes: Sequence[Change], *, boundary: str
) -> tuple[str, bytes]:
    """Content type and body of a batch with one change set. `boundary` is in none of the values: a random text."""
    outer, inner = f"batch_{boundary}", f"changeset_{boundary}"
    head = f"--{outer}\r\nContent-Type: multipart/mixed; boundary={inner}\r\n"
    parts = [_part(endpoint, table, partition, change) for change in changes]
    body = "".join(
        f"\r\n--{inner}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n{part}\r\n"
        for part in parts
    )
    return f"multipart/mixed; boundary={outer}", f"{head}{body}\r\n--{inner}--\r\n--{outer}--\r\n".encode()


def _part(endpoint: str, table: str, partition: str, change: Change) -> str:
    headers = ["DataServiceVersion: 3.0", "Accept: application/json;odata=minimalmetadata"]
    if isinstance(change, Insert):
        method, url = "POST", f"{endpoint}/{table}"
        # An insert answers with the whole row unless told otherwise ("Insert Entity", Prefer header).
        headers.append("Prefer: return-no-content")
    else:
        method = {"Merge": "PATCH", "Delete": "DELETE"}.get(type(change).__name__, "PUT")
        url = f"{endpoint}/{entity_path(table, partition, change.key)}"
    if not isinstance(change, Insert | Upsert):
        headers.append(f"If-Match: {change.if_match or '*'}")
    content = ""
    if not isinstance(change, Delete):
        members = {"PartitionKey": partition, "RowKey": change.key, **write_columns(change.values)}
        content = json.dumps(members, separators=(",", ":"))
        headers += ["Content-Type: application/json;odata=nometadata", f"Content-Length: {len(content)}"]
    return "\r\n".join((f"{method} {url} HTTP/1.1", *headers, "", content))


def read_transaction(content_type: str, body: bytes, changes: int) -> list[str | None]:
    """The etags by change, None for a delete.

    Raises TransactionRefused where nothing was done, and UnreadableAnswer for what is no such answer: it may be done.
    """
    parts = list(_answers(content_type.encode(), body))
    statuses = [int(found[1]) for part in parts if (found := _STATUS.match(part))]
    if len(statuses) != len(parts) or not parts:
        raise UnreadableAnswer("the store's answer to a transaction cannot be read")
    failed = next((at for at, status in enumerate(statuses) if status >= 400), None)
    if failed is not None:
        raise _refusal(statuses[failed], parts[failed])
    if len(parts) != changes:
        raise UnreadableAnswer("the store's answer has another number of parts than the transaction")
    found = [_ETAG.search(part) for part in parts]
    return [each[1].decode().strip() if each else None for each in found]


def _answers(content_type: bytes, body: bytes) -> Iterator[bytes]:
    """The HTTP messages inside, from status line to content."""
    for part in _split(content_type, body):
        headers, _, content = part.partition(b"\r\n\r\n")
        if b"multipart/mixed" in headers.lower():
            yield from _answers(headers, content)
        else:
            yield content.lstrip()


def _split(content_type: bytes, body: bytes) -> list[bytes]:
    boundary = _BOUNDARY.search(content_type)
    if boundary is None:
        raise UnreadableAnswer("the store's answer to a transaction has no parts")
    return [part.lstrip(b"\r\n") for part in (b"\r\n" + body).split(b"\r\n--" + boundary[1])[1:] if part[:2] != b"--"]


def _refusal(status: int, part: bytes) -> TransactionRefused:
    """The service's message begins with the change at fault: `1:The specified entity already exists.`"""
    try:
        error: Any = json.loads(part.partition(b"\r\n\r\n")[2])["odata.error"]
        code, message = str(error["code"]), str(error["message"]["value"])
    except (ValueError, KeyError, TypeError):
        return TransactionRefused(status, "", "", None)
    index = _FAILING.match(message)
    return TransactionRefused(status, code, message, int(index[1]) if index else None)


def authorization(account: str, key: str, *, method: str, content_type: str, date: str, path: str) -> str:
    """The header `Authorization` by the account's key ("Authorize with Shared Key", Table service).

    `path` is that of the URL as it is sent, encoded. There is no Content-MD5, and no `comp` in the query.
    """
    signed = f"{method}\n\n{content_type}\n{date}\n/{account}{path}"
    digest = hmac.digest(base64.b64decode(key), signed.encode(), "sha256")
    return f"SharedKey {account}:{base64.b64encode(digest).decode()}"


def _key(text: str) -> str:
    return quote(text.replace("'", "''"), safe="")
