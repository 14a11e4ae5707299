"""What callers do with an operation, over HTTP: start, wait for the end, list."""

import time
from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

import httpx

PATIENCE = 90
"""Seconds: for a machine that does much else. What hangs still fails."""

TERMINAL = frozenset({"Succeeded", "Failed", "Canceled"})


def caller(url: str, principal: str | None = None, **options: Any) -> httpx.Client:
    """A client of its own owner, where the host tells owners apart."""
    return httpx.Client(base_url=url, headers=identity(principal or uuid4().hex), timeout=30, verify=False, **options)


def identity(principal: str) -> dict[str, str]:
    """What App Service authentication adds to a signed-in request."""
    return {"x-ms-client-principal-id": principal, "x-ms-client-principal-idp": "aad"}


def begin(client: httpx.Client, path: str, body: Mapping[str, Any] | None = None, **headers: str) -> dict[str, Any]:
    """Start an action; the monitor in its 202."""
    answer = client.post(path, json=dict(body or {}), headers=headers)
    assert answer.status_code == 202, answer.text
    return answer.json()


def monitor(client: httpx.Client, operation_id: str) -> dict[str, Any]:
    answer = client.get(f"/status/{operation_id}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def until(
    client: httpx.Client, operation_id: str, holds: Callable[[dict[str, Any]], object], *, within: float = PATIENCE
) -> dict[str, Any]:
    """The first monitor for which `holds`."""
    deadline = time.monotonic() + within
    while True:
        state = monitor(client, operation_id)
        if holds(state):
            return state
        assert time.monotonic() < deadline, f"not within {within} s: {state}"
        time.sleep(0.05)


def ended(client: httpx.Client, operation_id: str, *, within: float = PATIENCE) -> dict[str, Any]:
    """The terminal monitor."""
    return until(client, operation_id, lambda state: state["status"] in TERMINAL, within=within)


def running(client: httpx.Client, operation_id: str) -> dict[str, Any]:
    return until(client, operation_id, lambda state: state["status"] == "Running")


def run(client: httpx.Client, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Start an action and return its terminal monitor."""
    return ended(client, begin(client, path, body)["id"])


def listing(client: httpx.Client, **query: str) -> list[dict[str, Any]]:
    """The whole list, every page followed."""
    link = str(client.base_url.copy_with(path="/status", params=query or None))
    items: list[dict[str, Any]] = []
    while link:
        answer = client.get(link)
        assert answer.status_code == 200, answer.text
        items += answer.json()["value"]
        link = answer.json().get("nextLink")
    return items


def ask(method: str, url: str, **options: Any) -> httpx.Response:
    """One request of nobody in particular."""
    return httpx.request(method, url, timeout=30, verify=False, **options)
