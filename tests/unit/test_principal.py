"""Roles in `X-MS-CLIENT-PRINCIPAL`, and what is none."""

import base64
import json
from typing import Any

import pytest

from shared.contracts.http import Request
from shared.contracts.principal import roles
from shared.settings import Settings

TRUSTED = {"TRUST_PLATFORM_AUTH": "true", "WEBSITE_AUTH_ENABLED": "true"}
ROLE = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"


def found(said: Any, **settings: str) -> frozenset[str]:
    text = said if isinstance(said, str) else base64.b64encode(json.dumps(said).encode()).decode()
    request = Request(method="GET", url="http://h/status", headers={"x-ms-client-principal": text})
    return roles(request, Settings.read(settings or TRUSTED))


def claim(kind: Any, value: Any) -> dict[str, Any]:
    return {"typ": kind, "val": value}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"claims": [claim("roles", "a"), claim("roles", "b"), claim("name", "c")]}, {"a", "b"}),
        ({"claims": [claim(ROLE, "a")], "role_typ": "roles"}, {"a"}),
        ({"claims": [claim("grp", "a"), claim("name", "b")], "role_typ": "grp"}, {"a"}),
        ({"claims": [claim("roles", 5), claim(None, "a"), claim([], "a"), "roles", None]}, set()),
        ({"claims": {"roles": "a"}}, set()),
        ({"claims": None, "role_typ": ["roles"]}, set()),
        ([], set()),
        ("not base64!", set()),
        ("bm90IGpzb24", set()),
        (base64.b64encode(b"\xff\xfe").decode(), set()),
        (base64.b64encode(b"[" * 100_000).decode(), set()),
        ("", set()),
    ],
    ids=[
        "several",
        "by-uri",
        "by-its-own-type",
        "odd-values",
        "an-object",
        "nulls",
        "a-list",
        "no-base64",
        "no-json",
        "no-text",
        "too-deep",
        "nothing",
    ],
)
def test_roles(said: Any, expected: set[str]) -> None:
    """Role claims by either name, or by the one that the principal gives; what cannot be read has none."""
    assert found(said) == expected


def test_only_where_trusted() -> None:
    """Without the setting anybody could send it."""
    assert found({"claims": [claim("roles", "a")]}, OPERATIONS_STORE="sqlite") == frozenset()
