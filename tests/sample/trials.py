"""Starts of the sample's trials, one of each pattern, which every stock client is given."""

from typing import Any
from uuid import uuid4

PATTERNS = ("post", "put", "delete", "put-operation")


LARGE = 1_000_000
"""Characters of a result that clients fetch both ways."""
LARGE_STARTS = {
    "post": ("POST", "/result/{}:inline"),
    "post-link": ("POST", "/result/{}:linked"),
    "put": ("PUT", "/result-jobs/{}"),
    "put-link": ("PUT", "/linked-jobs/{}"),
}
"""Starts whose result is in the monitor, and those whose monitor names where it lies."""


def large_start(name: str) -> tuple[str, str, Any]:
    """Method, path and body."""
    method, path = LARGE_STARTS[name]
    return method, path.format(f"l{uuid4().hex[:8]}"), {"size": LARGE}


def check_large(name: str, final: Any) -> None:
    """What a client's poller has to return: the monitor with its result, or by a link the bare result."""
    result = final if name.endswith("-link") else final["result"]
    assert result == {"text": "x" * LARGE}


def start_of(pattern: str, how: str) -> tuple[str, str, Any]:
    """A start of each pattern that ends well, fails, or takes a minute: method, path, body."""
    name = {"good": "good", "fail": "bad", "cancel": "slow"}[how] + uuid4().hex[:8]
    seconds = 60 if how == "cancel" else 0.2
    return {
        "post": ("POST", f"/trial/{name}:fail", {})
        if how == "fail"
        else ("POST", f"/trial/{name}:wait", {"seconds": seconds}),
        "put": ("PUT", f"/trial/{name}", {"note": "new"}),
        "delete": ("DELETE", f"/trial/{name}", None),
        "put-operation": ("PUT", f"/trial-jobs/{name}", {"seconds": seconds, "fail": how == "fail"}),
    }[pattern]
