"""Starts of the sample's trials, one of each pattern, which every stock client is given."""

from typing import Any
from uuid import uuid4

PATTERNS = ("post", "put", "delete", "put-operation")


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
