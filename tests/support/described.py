"""What an app describes of itself, as targets of requests: for tests that look at every route."""

import re
from typing import Any

import httpx

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
_FILLED = {"subscriptionId": SUBSCRIPTION, "file": "page.js", "key": "'x1'", "arguments": ""}


def described(client: httpx.Client) -> list[tuple[str, str]]:
    """Method and target of every operation in the app's description; most of what the paths name is not there."""
    paths: dict[str, dict[str, Any]] = client.get("/openapi.json").raise_for_status().json()["paths"]
    return [(method.upper(), _target(path)) for path, methods in paths.items() for method in methods]


def _target(path: str) -> str:
    filled = re.sub(r"'?\{(\w+)\}'?", lambda found: _FILLED.get(found[1], "x1"), path)
    return f"{filled}?api-version=2026-01-01" if "/providers/" in filled else filled
