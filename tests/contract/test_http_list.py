"""The list of operations.

Rules: Azure REST API Guidelines, "Pattern to List Status Monitors" and "Collections".
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
import pytest

from tests.support.host import LocalHost
from tests.support.lro import begin, caller, ended, listing, run

pytestmark = pytest.mark.both_stores


@dataclass(frozen=True)
class Shelf:
    """An owner with twelve finished operations, `states` in the order of their start: every third one failed."""

    client: httpx.Client
    states: list[dict[str, Any]]

    @property
    def newest_first(self) -> list[str]:
        return [state["id"] for state in reversed(self.states)]


@pytest.fixture(scope="module")
def shelf(host: LocalHost) -> Iterator[Shelf]:
    paths = ["/trial/t1:nothing", "/trial/t2:flaky", "/trial/t3:fail"] * 4
    bodies = [{}, {"goodAttempt": 1}, {}] * 4
    with caller(host.url) as client:
        ids = [begin(client, path, body)["id"] for path, body in zip(paths, bodies, strict=True)]
        yield Shelf(client, [ended(client, operation_id) for operation_id in ids])


def test_newest_first_in_short_form(shelf: Shelf) -> None:
    """Everything once, newest first, with the members of the monitor that a list has, and what only a list has."""
    body = shelf.client.get("/status").json()
    assert set(body) == {"value"}
    assert [item["id"] for item in body["value"]] == shelf.newest_first
    for item, state in zip(body["value"], reversed(shelf.states), strict=True):
        same = {"id", "kind", "status", "createdDateTime", "lastActionDateTime", "attempt"}
        assert {name: item[name] for name in same} == {name: state[name] for name in same}
        assert item.get("errorCode") == state.get("error", {}).get("code")
        assert set(item) - {"errorCode"} == same | {"operationLocation", "durationSeconds"}
        began, ended = state["attempts"][0]["began"], state["attempts"][-1]["ended"]
        assert item["durationSeconds"] == pytest.approx(seconds_between(began, ended), abs=0.01)
        assert shelf.client.get(item["operationLocation"]).json() == state


def seconds_between(one: str, other: str) -> float:
    return (datetime.fromisoformat(other) - datetime.fromisoformat(one)).total_seconds()


def test_empty(client: httpx.Client) -> None:
    """Nobody's list is an empty `value` without a link."""
    assert client.get("/status").json() == {"value": []}


@pytest.mark.parametrize("top", [1, 5, 11, 12, 1000])
def test_pages(host: LocalHost, shelf: Shelf, top: int) -> None:
    """`top` bounds a page; nextLink is absolute, self-contained, leads on to the end, and is absent there."""
    pages: list[list[str]] = []
    link: str | None = f"{host.url}/status?top={top}"
    while link:
        answer = shelf.client.get(link)
        pages.append([item["id"] for item in answer.json()["value"]])
        link = answer.json().get("nextLink")
        assert ("lookedBackTo" in answer.json()) == ("nextLink" in answer.json())
        if link:
            assert answer.json()["lookedBackTo"] == answer.json()["value"][-1]["createdDateTime"]
            assert link.startswith(f"{host.url}/status?api-version=2026-01-01&")
    assert all(len(page) <= top for page in pages)
    assert [each for page in pages for each in page] == shelf.newest_first
    assert pages[-1]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("status eq 'Failed'", {"trial:fail"}),
        ("status eq 'Running'", set()),
        ("kind eq 'trial:nothing'", {"trial:nothing"}),
        ("kind eq 'trial:nothing' or kind eq 'trial:fail'", {"trial:nothing", "trial:fail"}),
        ("status eq 'Failed' and kind eq 'trial:nothing'", set()),
        ("(status eq 'Failed' or kind eq 'trial:flaky') and status eq 'Succeeded'", {"trial:flaky"}),
        ("status eq 'Succeeded' and kind eq 'trial:flaky' or kind eq 'trial:fail'", {"trial:flaky", "trial:fail"}),
        ("  ( ( kind eq 'trial:flaky' ) )  ", {"trial:flaky"}),
        ("kind eq 'it''s'", set()),
        ("errorCode ne '' and status ne 'Canceled'", {"trial:fail"}),
        ("status in ('Succeeded','Running') and startswith(kind,'trial:n')", {"trial:nothing"}),
        ("createdDateTime ge 2020-01-01T00:00:00Z", {"trial:nothing", "trial:flaky", "trial:fail"}),
    ],
)
def test_filter(shelf: Shelf, text: str, wanted: set[str]) -> None:
    """`eq`, `and` before `or`, and parentheses select on status and kind, also across pages."""
    expected = [state["id"] for state in reversed(shelf.states) if state["kind"] in wanted]
    assert [item["id"] for item in listing(shelf.client, filter=text)] == expected
    assert [item["id"] for item in listing(shelf.client, filter=text, top="2")] == expected


@pytest.mark.parametrize(
    ("query", "code", "target"),
    [
        ("filter=", "InvalidFilter", "filter"),
        ("filter=status", "InvalidFilter", "filter"),
        ("filter=status eq Running", "InvalidFilter", "filter"),
        ("filter=status eq 'Completed'", "InvalidFilter", "filter"),
        ("filter=status eq 'running'", "InvalidFilter", "filter"),
        ("filter=status is 'Running'", "InvalidFilter", "filter"),
        ("filter=createdDateTime ge yesterday", "InvalidFilter", "filter"),
        ("filter=attempt eq '1'", "InvalidFilter", "filter"),
        ("filter=kind eq 'a' and", "InvalidFilter", "filter"),
        ("filter=(kind eq 'a'", "InvalidFilter", "filter"),
        ("filter=kind eq 'a')", "InvalidFilter", "filter"),
        ("filter=kind eq 'a' kind eq 'b'", "InvalidFilter", "filter"),
        ("filter=" + "(" * 40 + "kind eq 'a'" + ")" * 40, "InvalidFilter", "filter"),
        ("filter=kind eq '" + "a" * 2000 + "'", "InvalidFilter", "filter"),
        ("top=0", "InvalidTop", "top"),
        ("top=-1", "InvalidTop", "top"),
        ("top=1001", "InvalidTop", "top"),
        ("top=ten", "InvalidTop", "top"),
        ("top=1.5", "InvalidTop", "top"),
        ("top=", "InvalidTop", "top"),
        ("top=1&top=2", "InvalidTop", "top"),
        ("skipToken=nonsense", "InvalidSkipToken", "skipToken"),
        ("orderby=kind", "InvalidOrderBy", "orderby"),
        ("orderby=createdDateTime asc", "InvalidOrderBy", "orderby"),
        ("count=yes", "InvalidCount", "count"),
        ("order=kind", "UnknownQueryParameter", "order"),
        ("$filter=status eq 'Failed'", "UnknownQueryParameter", "$filter"),
        ("api-version=2026-01-01&limit=5", "UnknownQueryParameter", "limit"),
    ],
)
def test_bad_parameters(client: httpx.Client, query: str, code: str, target: str) -> None:
    """An unknown parameter and a value that does not fit are 400 and name the parameter."""
    answer = client.get(f"/status?{query}")
    assert (answer.status_code, answer.headers["x-ms-error-code"]) == (400, code)
    assert (answer.json()["error"]["code"], answer.json()["error"]["target"]) == (code, target)


def test_new_operations_do_not_move_the_pages(client: httpx.Client) -> None:
    """Somebody who follows nextLink sees what was there when he began, whatever is started meanwhile."""
    old = [run(client, "/trial/t1:nothing")["id"] for _ in range(4)]
    first = client.get("/status?top=2").json()
    run(client, "/trial/t1:nothing")
    second = client.get(first["nextLink"]).json()
    assert [item["id"] for item in first["value"] + second["value"]] == old[::-1]


def test_count(shelf: Shelf) -> None:
    """`count=true` says how many there are, of what the filter selects."""
    count = shelf.client.get("/status?count=true&top=1").json()["count"]
    assert count == {
        "active": 0,
        "ended": 12,
        "more": False,
        "byStatus": {"NotStarted": 0, "Running": 0, "Canceling": 0, "Succeeded": 8, "Failed": 4, "Canceled": 0},
    }
    count = shelf.client.get("/status?count=true&filter=status eq 'Failed'").json()["count"]
    assert (count["active"], count["ended"], count["byStatus"]["Failed"]) == (0, 4, 4)
    assert "count" not in shelf.client.get("/status?count=false").json()


def test_oldest_first_among_active_ones(client: httpx.Client) -> None:
    """What is not over can be read from its other end, page by page."""
    ids = [begin(client, f"/trial/t{number}:late")["id"] for number in range(3)]
    filter = "status in ('NotStarted','Running','Canceling')"
    try:
        found = listing(client, filter=filter, orderby="createdDateTime asc", top="2")
        assert [item["id"] for item in found] == ids
        assert [item["id"] for item in listing(client, filter=filter, top="2")] == ids[::-1]
    finally:
        for operation_id in ids:
            client.post(f"/status/{operation_id}:cancel")
