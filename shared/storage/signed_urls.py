"""Signed URLs of the embedded store: who holds one may write, or read, one blob until it expires. Pure.

The names of the query parameters are those of a service SAS (learn.microsoft.com, "Create a service SAS"), so that
clients written for Azure, which look for `sig`, take the URL for what it stands for. The signature is our own.
"""

import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from urllib.parse import quote, urlencode

WRITE = "cw"
"""Create and write, as in a service SAS."""
READ = "r"
DISPOSITION = "rscd"
"""The parameter with the Content-Disposition of the answer."""


def blob_path(account: str, container: str, name: str) -> str:
    return f"/{account}/{container}/{quote(name)}"


def signed_query(
    key: bytes,
    container: str,
    name: str,
    *,
    permission: str,
    now: datetime,
    lifetime_seconds: int,
    disposition: str = "",
) -> str:
    """The query of a URL that expires `lifetime_seconds` after `now`."""
    expiry = (now + timedelta(seconds=lifetime_seconds)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    query = {"se": expiry, "sp": permission, "sr": "b"} | ({DISPOSITION: disposition} if disposition else {})
    return urlencode({**query, "sig": _signature(key, container, name, query)})


def granted(key: bytes, container: str, name: str, query: Mapping[str, str], now: datetime) -> str:
    """The permission of a query that was signed with `key` for exactly this blob and has not expired; else nothing."""
    expected = _signature(key, container, name, query)
    if not hmac.compare_digest(expected.encode(), query.get("sig", "").encode()):
        return ""
    # Both are ours, as the signature has shown.
    return query["sp"] if now < datetime.fromisoformat(query["se"]) else ""


def _signature(key: bytes, container: str, name: str, query: Mapping[str, str]) -> str:
    """Fields are kept apart by a character none of them can hold."""
    fields = (container, name, *(query.get(each, "") for each in ("se", "sp", DISPOSITION)))
    return hmac.new(key, "\n".join(fields).encode(errors="replace"), sha256).hexdigest()
