"""What OData callers do, over HTTP, in plain requests."""

import time
from collections.abc import Callable
from typing import Any

import httpx

ASYNC = {"Prefer": "respond-async"}


def begun(client: httpx.Client, path: str, body: Any = None, **headers: str) -> str:
    """Start an action or a batch asynchronously; the URL of its monitor."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = client.post(path, json=body if body is not None else {}, headers={**ASYNC, **named})
    assert answer.status_code == 202, answer.text
    return answer.headers["location"]


def awaited(client: httpx.Client, location: str, *, within: float = 20) -> httpx.Response:
    """The first answer of a monitor that is not 202."""
    deadline = time.monotonic() + within
    while (answer := client.get(location, headers={"Accept": "application/json"})).status_code == 202:
        assert time.monotonic() < deadline, f"not within {within} s: {location}"
        location = answer.headers["location"]
        time.sleep(0.05)
    return answer


def polled(holds: Callable[[], object], *, within: float = 15) -> None:
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, f"not within {within} s"
        time.sleep(0.05)


def enclosed(message: bytes) -> tuple[str, dict[str, str], bytes]:
    """Status line, headers by lower-case name, and body of an enclosed message."""
    head, separator, body = message.partition(b"\r\n\r\n")
    assert separator, message
    status, *lines = head.decode().split("\r\n")
    return status, {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}, body
