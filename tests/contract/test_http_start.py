"""Starting an action over HTTP: the 202, the caller's own id, and how often one may ask.

Rules: Azure REST API Guidelines, "LRO action on a resource pattern".
"""

import re
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import httpx
import pytest

from tests.support.host import LocalHost
from tests.support.lro import ask, begin, ended, listing, monitor, running

pytestmark = pytest.mark.both_stores


def test_start_answers_202_with_the_monitor(host: LocalHost, client: httpx.Client) -> None:
    """202 carries an absolute monitor URL with api-version, the id, whole seconds to wait, and the monitor itself."""
    answer = client.post("/trial/t1:wait", json={"seconds": 60})
    body = answer.json()
    assert answer.status_code == 202
    assert answer.headers["content-type"] == "application/json"
    assert str(UUID(body["id"])) == body["id"]
    assert answer.headers["operation-id"] == body["id"]
    assert answer.headers["operation-location"] == f"{host.url}/status/{body['id']}?api-version=2026-01-01"
    assert answer.headers["retry-after"] == "1"
    assert "location" not in answer.headers
    assert "azure-asyncoperation" not in answer.headers
    assert set(body) == {"id", "kind", "status", "createdDateTime", "lastActionDateTime", "attempt"}
    assert (body["kind"], body["status"], body["attempt"]) == ("trial:wait", "NotStarted", 0)
    client.post(f"/status/{body['id']}:cancel")


def test_monitor_is_readable_before_anything_else(client: httpx.Client) -> None:
    """The first poll, sent as soon as the 202 is there, never meets a 404; by URL as by id."""
    for _ in range(20):
        answer = client.post("/trial/t1:nothing")
        assert client.get(answer.headers["operation-location"]).status_code == 200


def test_retry_after_is_the_actions_own(client: httpx.Client) -> None:
    """An action that declares retry_after=7 says 7 on its 202 and on every monitor until it has ended."""
    answer = client.post("/trial/t1:wait-sync", json={"seconds": 0.3})
    operation_id = answer.json()["id"]
    assert answer.headers["retry-after"] == "7"
    assert client.get(f"/status/{operation_id}").headers["retry-after"] == "7"
    ended(client, operation_id)
    assert "retry-after" not in client.get(f"/status/{operation_id}").headers


def test_body_may_be_absent_where_nothing_is_required(client: httpx.Client) -> None:
    """No body, an empty object, and a media type with a parameter or a +json suffix start the same action."""
    for arguments in (
        {},
        {"json": {}},
        {"content": b"{}", "headers": {"content-type": "application/json; charset=utf-8"}},
        {"content": b"{}", "headers": {"content-type": "application/merge-patch+json"}},
        {"json": {"id": "t1"}},
    ):
        assert client.post("/trial/t1:nothing", **arguments).status_code == 202  # pyright: ignore
    assert ended(client, begin(client, "/trial:tick")["id"])["status"] == "Succeeded"


def test_precondition_refuses_and_creates_nothing(client: httpx.Client) -> None:
    """What the action's precondition raises is the answer, and there is no operation."""
    answer = client.post("/trial/busy1:refused")
    assert (answer.status_code, answer.json()["error"]) == (
        409,
        {"code": "TrialBusy", "message": "Another operation holds this trial.", "target": "busy1"},
    )
    assert answer.headers["x-ms-error-code"] == "TrialBusy"
    assert listing(client) == []


@pytest.mark.parametrize("url", ["", "?api-version=2026-01-01"])
def test_operation_id_is_the_callers(client: httpx.Client, url: str) -> None:
    """The id in the Operation-Id header becomes the operation's, as it is written."""
    wanted = f"My.Own_Id-{uuid4().hex[:8]}"
    answer = client.post(f"/trial/t1:nothing{url}", headers={"Operation-Id": wanted})
    assert answer.json()["id"] == answer.headers["operation-id"] == wanted
    assert client.get(f"/status/{wanted}").status_code == 200
    assert client.get(f"/status/{wanted.lower()}").status_code == 404


def test_replay_answers_the_same_operation(client: httpx.Client) -> None:
    """The same id with the same request starts nothing again, while it runs as after its end."""
    first = client.post("/trial/t1:wait", json={"seconds": 0.5}, headers={"Operation-Id": "replayed"})
    running(client, "replayed")
    again = client.post("/trial/t1:wait", content=b'{ "seconds": 5e-1, "id": "t1" }', headers=_json("replayed"))
    assert again.status_code == 202
    assert again.headers["operation-location"] == first.headers["operation-location"]
    assert again.json()["createdDateTime"] == first.json()["createdDateTime"]
    assert again.headers["retry-after"] == "1"
    ended(client, "replayed")
    late = client.post("/trial/t1:wait", json={"seconds": 0.5}, headers={"Operation-Id": "replayed"})
    assert late.status_code == 202
    assert late.json() == monitor(client, "replayed")
    assert late.json()["result"] == {"seconds": 0.5, "attempt": 1}
    assert "retry-after" not in late.headers
    assert [item["id"] for item in listing(client)] == ["replayed"]


def test_operation_id_of_another_request_is_refused(client: httpx.Client) -> None:
    """The same id with another input, resource or action is 409 OperationIdInUse, and the first goes on."""
    begin(client, "/trial/t1:wait", {"seconds": 0.1}, **{"Operation-Id": "taken"})
    for path, body in (
        ("/trial/t1:wait", {"seconds": 0.2}),
        ("/trial/t2:wait", {"seconds": 0.1}),
        ("/trial/t1:wait-sync", {"seconds": 0.1}),
    ):
        answer = client.post(path, json=body, headers={"Operation-Id": "taken"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "OperationIdInUse")
        assert answer.json()["error"]["target"] == "Operation-Id"
    assert ended(client, "taken")["result"]["seconds"] == 0.1
    assert len(listing(client)) == 1


def test_replay_side_by_side_starts_one_operation(host: LocalHost, client: httpx.Client) -> None:
    """Twenty starts with one id at the same moment all answer 202 and make one operation."""
    with ThreadPoolExecutor(20) as threads:
        headers = {**client.headers, "Operation-Id": "together"}
        url = f"{host.url}/trial/t1:flaky"
        answers = list(threads.map(lambda _: ask("POST", url, json={"goodAttempt": 1}, headers=headers), range(20)))
    assert {answer.status_code for answer in answers} == {202}
    assert {answer.headers["operation-location"] for answer in answers} == {
        f"{host.url}/status/together?api-version=2026-01-01"
    }
    assert ended(client, "together")["result"]["attempt"] == 1
    assert len(listing(client)) == 1


@pytest.mark.parametrize("operation_id", ["a:b", "a/b", "a b", ".a", "a" * 65, "é", "a!b", "-"])
def test_operation_id_must_be_an_id(client: httpx.Client, operation_id: str) -> None:
    """An Operation-Id that could not stand in the monitor's URL is 400 and creates nothing."""
    answer = client.post("/trial/t1:nothing", headers={"Operation-Id": operation_id.encode()})  # pyright: ignore
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "InvalidOperationId")
    assert listing(client) == []


def test_times_are_rfc3339_in_utc(client: httpx.Client) -> None:
    """Every time on the wire is RFC 3339 in UTC and they are in order."""
    state = ended(client, begin(client, "/trial/t1:nothing")["id"])
    times = [state[name] for name in ("createdDateTime", "lastActionDateTime", "expiresAt")]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", time) for time in times)
    assert times == sorted(times)


def _json(operation_id: str) -> dict[str, str]:
    return {"content-type": "application/json", "Operation-Id": operation_id}


def test_no_key_gets_into_a_url(client: httpx.Client) -> None:
    """A key sent in the query string opens the function, and is in no URL that comes back."""
    started = client.post("/trial/t1:nothing?code=top-secret&clientId=me")
    assert started.status_code == 202
    assert "top-secret" not in str(started.headers) + started.text
    page = client.get("/status?top=1&code=top-secret")
    assert page.status_code == 200
    assert "top-secret" not in str(page.headers) + page.text


@pytest.mark.parametrize(
    ("path", "headers"),
    [("/trial/t1:nothing", {}), ("/odata/TrialNothing", {"prefer": "respond-async"})],
    ids=["data plane", "OData"],
)
def test_labels(client: httpx.Client, path: str, headers: dict[str, str]) -> None:
    """A start of any profile gives its operation labels, which its monitor and the list show."""
    label = f"run:{uuid4()}"
    answer = client.post(path, json={}, headers={**headers, "Operation-Labels": f"team-a, {label}"})
    assert answer.status_code == 202, answer.text
    (item,) = listing(client, filter=f"labels/any(l:l eq '{label}')")
    assert item["labels"] == monitor(client, item["id"])["labels"] == ["team-a", label]
    refused = client.post(path, json={}, headers={**headers, "Operation-Labels": "a,b,c,d,e,f"})
    assert (refused.status_code, refused.headers["x-ms-error-code"]) == (400, "InvalidLabels")
