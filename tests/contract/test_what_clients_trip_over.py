"""What real clients trip over, on the data plane: a test for each thing that was observed with the released clients,
and what .NET clients were seen to need. What concerns ARM and OData alone has tests of its own.
"""

import re
from uuid import UUID, uuid4

import httpx
import pytest

from tests.support.lro import begin, ended, monitor, run

STARTS = ["post", "put", "delete", "put-operation"]
HOWS = ["good", "bad", "slow"]
WORDS = {"NotStarted", "Running", "Canceling", "Succeeded", "Failed", "Canceled"}


def start(client: httpx.Client, pattern: str, how: str = "good", **headers: str) -> httpx.Response:
    """A start of each pattern that ends well, fails, or takes a minute."""
    name = how + uuid4().hex[:8]
    job = {"seconds": 60 if how == "slow" else 0.1, "fail": how == "bad"}
    match pattern:
        case "post" if how == "bad":
            return client.post(f"/trial/{name}:fail", headers=headers)
        case "post":
            return client.post(f"/trial/{name}:wait", json={"seconds": job["seconds"]}, headers=headers)
        case "put":
            return client.put(f"/trial/{name}", json={"note": "new"}, headers=headers)
        case "delete":
            return client.delete(f"/trial/{name}", headers=headers)
        case _:
            return client.put(f"/trial-jobs/{name}", json=job, headers=headers)


@pytest.fixture(params=[(pattern, how) for pattern in STARTS for how in HOWS], ids="-".join)
def polled(request: pytest.FixtureRequest, client: httpx.Client) -> list[httpx.Response]:
    """The first answer to a start, a poll while it runs, and a poll after its end; `slow` ones are canceled.

    Driven once per host and start: what the tests look at does not change.
    """
    pattern, how = request.param
    key = (str(client.base_url), pattern, how)
    if key not in _POLLED:
        _POLLED[key] = _poll(client, pattern, how)
    return _POLLED[key]


_POLLED: dict[tuple[str, str, str], list[httpx.Response]] = {}


def _poll(client: httpx.Client, pattern: str, how: str) -> list[httpx.Response]:
    first = start(client, pattern, how)
    location = first.headers["operation-location"]
    poll = client.get(location)
    if how == "slow":
        client.post(location.replace("?", ":cancel?"))
    ended(client, first.headers["operation-id"])
    return [first, poll, client.get(location)]


def monitors(polled: list[httpx.Response]) -> list[httpx.Response]:
    """Those that are status monitors: the answer to a PUT of a resource is the resource."""
    return polled[1:] if "note" in polled[0].json() else polled


def test_status_words(polled: list[httpx.Response]) -> None:
    """`status` is always there, a string, and one of our six words, spelled as clients know."""
    for answer in monitors(polled):
        assert answer.json()["status"] in WORDS
    assert polled[-1].json()["status"] in {"Succeeded", "Failed", "Canceled"}


def test_monitor_is_200_with_a_body(polled: list[httpx.Response]) -> None:
    """(.NET: 202 or 201 with Succeeded fails, an empty body fails) A monitor answers 200 with JSON, always."""
    for answer in polled[1:]:
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        assert answer.json()["id"]


@pytest.mark.parametrize("prefer", ["", "wait=10"])
def test_resource_without_status(client: httpx.Client, prefer: str) -> None:
    """The resource in the answer to a PUT has no `status` at its top, however far the operation is."""
    assert set(start(client, "put", Prefer=prefer).json()) == {"id", "note"}


@pytest.mark.parametrize("pattern", STARTS)
@pytest.mark.both_stores
def test_readable_at_once(client: httpx.Client, pattern: str) -> None:
    """(.NET: a first 404 is final) The first poll follows at once and finds the operation, every time."""
    for _ in range(10):
        assert client.get(start(client, pattern).headers["operation-location"]).status_code == 200


def test_absolute_urls(polled: list[httpx.Response], client: httpx.Client) -> None:
    """Operation-Location is absolute, with the scheme and host the caller used."""
    base = str(client.base_url).rstrip("/")
    assert polled[0].headers["operation-location"].startswith(f"{base}/")


def test_retry_after(polled: list[httpx.Response]) -> None:
    """(.NET: `2.5`, dates and words) Whole seconds from 1, until it has ended; the finished answer has none."""
    for answer in polled[:2]:
        if answer.json().get("status") not in {"Succeeded", "Failed", "Canceled"}:
            assert re.fullmatch(r"[1-9][0-9]*", answer.headers["retry-after"])
    assert "retry-after" not in polled[-1].headers
    assert "retry-after-ms" not in polled[-1].headers


def test_no_location(polled: list[httpx.Response]) -> None:
    """(.NET: LOC is kept for the final GET) Neither starts nor monitors have `Location`, nor ARM's header."""
    for answer in polled:
        assert "location" not in answer.headers
        assert "azure-asyncoperation" not in answer.headers
    assert all("operation-location" not in answer.headers for answer in polled[1:])


def test_no_resource_location(polled: list[httpx.Response]) -> None:
    """No body names `resourceLocation`, which every client would fetch."""
    assert all("resourceLocation" not in answer.text for answer in polled)


def test_no_redirects(polled: list[httpx.Response]) -> None:
    """(.NET: redirects are not followed) Nothing answers 3xx."""
    assert all(answer.status_code < 300 for answer in polled)


def test_api_version(client: httpx.Client) -> None:
    """(.NET replaces it) The URL carries api-version; without it, or with any supported one, it is the same."""
    location = start(client, "post").headers["operation-location"]
    assert location.endswith("?api-version=2026-01-01")
    assert client.get(location.partition("?")[0]).status_code == 200


@pytest.mark.parametrize("pattern", STARTS)
def test_plain_urls(client: httpx.Client, pattern: str) -> None:
    """No braces, quotes or backslashes in a monitor's URL: ids with such are refused at the start."""
    assert re.fullmatch(r"[A-Za-z0-9:/.?=_-]+", start(client, pattern).headers["operation-location"])
    for id in ("{x}", 'x"y', "x\\y"):
        answer = client.post("/trial/t1:nothing", headers={"Operation-Id": id})
        assert answer.status_code == 400


def test_monitor_outlives_the_resource(client: httpx.Client) -> None:
    """(.NET: a 404 while a DELETE is polled is a failure) The monitor stays when the resource is gone."""
    name = f"good{uuid4().hex[:8]}"
    client.put(f"/trial/{name}", json={}, headers={"Prefer": "wait=10"})
    answer = client.delete(f"/trial/{name}", headers={"Prefer": "wait=10"})
    assert client.get(f"/trial/{name}").status_code == 404
    for url in (answer.headers["operation-location"], f"/trial/{name}/operations/{answer.headers['operation-id']}"):
        assert client.get(url).json()["status"] == "Succeeded"


@pytest.mark.parametrize("pattern", ["post", "put-operation"])
def test_terminal_first_answer(client: httpx.Client, pattern: str) -> None:
    """A first answer that says Succeeded carries the result, for nobody polls after it."""
    answer = start(client, pattern, Prefer="wait=10")
    assert answer.json()["status"] == "Succeeded"
    assert answer.json()["result"]["seconds"] == 0.1


def test_errors_are_whole(client: httpx.Client) -> None:
    """(.NET: an error that is a string is lost) Failed and Canceled have `error` with both code and message."""
    for how in ("bad", "slow"):
        first = start(client, "post", how)
        if how == "slow":
            client.post(f"/status/{first.json()['id']}:cancel")
        error = ended(client, first.json()["id"])["error"]
        assert isinstance(error["code"], str)
        assert error["code"]
        assert isinstance(error["message"], str)
        assert error["message"]


def test_percent_is_a_number(client: httpx.Client) -> None:
    """percentComplete is a number from 0 to 100."""
    state = run(client, "/trial/t1:progress", {"seconds": 0})
    assert isinstance(state["percentComplete"], int | float)
    assert 0 <= state["percentComplete"] <= 100


def test_short_urls(client: httpx.Client) -> None:
    """(414 above 2083 characters) The longest ids make a short monitor URL: all state is kept by us."""
    answer = client.put(f"/trial-jobs/{'j' * 64}", json={"seconds": 0})
    assert answer.status_code in {200, 201}
    assert len(answer.headers["operation-location"]) < 200


def test_net_operation_id_is_the_last_segment(polled: list[httpx.Response]) -> None:
    """.NET takes the operation's id from the last path segment of the URL it polls."""
    path = httpx.URL(polled[0].headers["operation-location"]).path
    assert path.rpartition("/")[2] == polled[0].headers["operation-id"] == polled[-1].json()["id"]


@pytest.mark.parametrize("pattern", STARTS)
@pytest.mark.both_stores
def test_net_start_that_is_sent_again(client: httpx.Client, pattern: str) -> None:
    """.NET re-sends a start that was answered 503, with no idempotency header of its own: with our Operation-Id, or
    where the id is in the URL, the second one finds the first; its status is the first one's, or 200 for a PUT."""
    name = f"good{uuid4().hex[:8]}"
    request = {
        "post": ("POST", f"/trial/{name}:wait", {"seconds": 0}),
        "put": ("PUT", f"/trial/{name}", {}),
        "delete": ("DELETE", f"/trial/{name}", None),
        "put-operation": ("PUT", f"/trial-jobs/{name}", {"seconds": 0}),
    }[pattern]
    headers = {} if pattern == "put-operation" else {"Operation-Id": name}
    sent = [client.request(request[0], request[1], json=request[2], headers=headers) for _ in range(2)]
    assert sent[0].headers["operation-location"] == sent[1].headers["operation-location"]
    assert [answer.status_code for answer in sent] == {
        "post": [202, 202], "put": [201, 201], "delete": [202, 202], "put-operation": [201, 200],
    }[pattern]  # fmt: skip
    assert ended(client, name)["attempt"] == 1


def test_net_final_get(client: httpx.Client) -> None:
    """After a PUT .NET reads the initial URL without adding api-version: 200 with the resource."""
    first = start(client, "put", Prefer="wait=10")
    answer = client.get(first.request.url)
    assert (answer.status_code, answer.json()) == (200, first.json())


def test_net_client_request_ids(client: httpx.Client) -> None:
    """.NET sends x-ms-client-request-id and x-ms-return-client-request-id with every poll, and no Accept."""
    headers = {"x-ms-client-request-id": str(uuid4()), "x-ms-return-client-request-id": "true"}
    started = begin(client, "/trial/t1:nothing", {}, **headers)
    request = client.build_request("GET", f"/status/{started['id']}", headers=headers)
    del request.headers["accept"]
    answer = client.send(request)
    assert answer.headers["x-ms-client-request-id"] == headers["x-ms-client-request-id"]
    assert UUID(answer.headers["x-ms-request-id"])
    assert monitor(client, started["id"])["id"] == started["id"]
