"""Signed upload URLs of the embedded store: who holds one may write one blob until it expires. Pure.

The names of the query parameters are those of a service SAS (learn.microsoft.com, "Create a service SAS"), so that
clients written for Azure, which look for `sig`, take the URL for what it stands for. The signature is our own.
"""

import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from urllib.parse import quote, urlencode

PERMISSION = "cw"
"""Create and write, as in a service SAS."""


def upload_path(account: str, container: str, name: str) -> str:
    return f"/{account}/{container}/{quote(name)}"


def upload_query(key: bytes, container: str, name: str, now: datetime, lifetime_seconds: int) -> str:
    """The query of a URL that expires `lifetime_seconds` after `now`."""
    expiry = (now + timedelta(seconds=lifetime_seconds)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    signature = _signature(key, container, name, expiry, PERMISSION)
    return urlencode({"se": expiry, "sp": PERMISSION, "sr": "b", "sig": signature})


def verify_upload(key: bytes, container: str, name: str, query: Mapping[str, str], now: datetime) -> bool:
    """Whether the query was signed with `key` for exactly this blob and has not expired."""
    expiry, permission, signature = query.get("se", ""), query.get("sp", ""), query.get("sig", "")
    expected = _signature(key, container, name, expiry, permission)
    if not hmac.compare_digest(expected.encode(), signature.encode()) or permission != PERMISSION:
        return False
    return now < datetime.fromisoformat(expiry)  # ours, as the signature has shown


def _signature(key: bytes, container: str, name: str, expiry: str, permission: str) -> str:
    """Fields are kept apart by a character none of them can hold."""
    return hmac.new(key, "\n".join((container, name, expiry, permission)).encode(), sha256).hexdigest()
