"""The status monitor and the result: what they say in every state.

Rules: Azure REST API Guidelines, "The Status Monitor Resource".
"""

import time
from datetime import datetime, timedelta

import httpx
import pytest

from tests.support.lro import begin, ended, monitor, run, running, until

pytestmark = pytest.mark.both_stores

ALWAYS = {"id", "kind", "status", "createdDateTime", "lastActionDateTime", "attempt"}
BEGUN = ALWAYS | {"attempts"}
ENDED = BEGUN | {"expiresAt"}


def test_monitor_while_it_runs(client: httpx.Client) -> None:
    """200 with Retry-After and exactly the members that are known; reading it any number of times changes nothing."""
    started = begin(client, "/trial/t1:wait", {"seconds": 60})
    state = running(client, started["id"])
    answer = client.get(f"/status/{started['id']}")
    assert answer.status_code == 200
    assert answer.headers["retry-after"] == "1"
    assert "operation-location" not in answer.headers
    assert "location" not in answer.headers
    assert set(started) == ALWAYS
    assert set(answer.json()) == BEGUN
    assert answer.json() == state
    assert answer.json()["attempt"] == 1
    assert answer.json()["createdDateTime"] == started["createdDateTime"]
    client.post(f"/status/{started['id']}:cancel")


def test_monitor_of_success(client: httpx.Client) -> None:
    """200 with the result, everything done, no Retry-After, and the time until which it stays."""
    state = run(client, "/trial/t1:wait", {"seconds": 0})
    answer = client.get(f"/status/{state['id']}")
    assert "retry-after" not in answer.headers
    assert set(answer.json()) == ENDED | {"result", "percentComplete"}
    assert answer.json()["status"] == "Succeeded"
    assert answer.json()["result"] == {"seconds": 0, "attempt": 1}
    assert answer.json()["percentComplete"] == 100


def test_monitor_of_failure(client: httpx.Client) -> None:
    """Still 200; the error as the handler raised it is inside, deliberate failures are not retried."""
    state = run(client, "/trial/t1:fail")
    answer = client.get(f"/status/{state['id']}")
    assert answer.status_code == 200
    assert "retry-after" not in answer.headers
    assert "x-ms-error-code" not in answer.headers
    assert set(answer.json()) == ENDED | {"error"}
    assert (answer.json()["status"], answer.json()["attempt"]) == ("Failed", 1)
    assert answer.json()["error"] == {
        "code": "TrialFailed",
        "message": "This trial always fails.",
        "target": "trial",
        "details": [{"code": "Cracked", "message": "The spine is cracked.", "target": "spine"}],
    }


def test_unexpected_failure_keeps_its_secrets(client: httpx.Client) -> None:
    """An exception that the handler did not mean to show ends as ActionError without its text."""
    state = run(client, "/trial/t1:crash")
    assert state["error"]["code"] == "ActionError"
    assert "secret" not in str(state)


def test_result_that_was_not_declared(client: httpx.Client) -> None:
    """A handler that returns something else than it declares fails its operation."""
    assert run(client, "/trial/t1:odd-result")["error"]["code"] == "InvalidResult"


def test_attempt_over_its_deadline(client: httpx.Client) -> None:
    """A handler that outlives its timeout is stopped, and the operation says so."""
    state = run(client, "/trial/t1:overdue")
    assert (state["status"], state["error"]["code"]) == ("Failed", "AttemptTimedOut")


def test_attempts_are_counted(client: httpx.Client) -> None:
    """Each attempt is shown as it ended, the failed ones with their error."""
    state = run(client, "/trial/t1:flaky", {"goodAttempt": 3})
    assert (state["status"], state["attempt"], state["result"]["attempt"]) == ("Succeeded", 3, 3)
    shown = [(each["number"], each["outcome"], each.get("code")) for each in state["attempts"]]
    assert shown == [(1, "Failed", "ActionError"), (2, "Failed", "ActionError"), (3, "Succeeded", None)]
    for each in state["attempts"]:
        assert datetime.fromisoformat(each["began"]) <= datetime.fromisoformat(each["ended"])
        assert len(each["instance"]) == 8
    state = run(client, "/trial/t1:flaky", {"goodAttempt": 4})
    assert (state["status"], state["attempt"], state["error"]["code"]) == ("Failed", 3, "ActionError")
    assert [each["outcome"] for each in state["attempts"]] == ["Failed"] * 3


def test_between_two_attempts(client: httpx.Client) -> None:
    """The operation stays Running and says why its last attempt failed, in `lastError`: there is no `error` yet."""
    started = begin(client, "/trial/t1:late")
    state = until(client, started["id"], lambda state: "lastError" in state)
    assert set(state) == BEGUN | {"lastError", "waitingFor", "waitingSince"}
    assert (state["status"], state["attempt"], state["lastError"]["code"]) == ("Running", 1, "ActionError")
    assert state["waitingFor"] == "retry"
    assert [each["outcome"] for each in state["attempts"]] == ["Failed"]
    client.post(f"/status/{started['id']}:cancel")


def test_progress(client: httpx.Client) -> None:
    """percentComplete is a number, `progress` holds what else was reported, and the last report is the one shown."""
    started = begin(client, "/trial/t1:progress", {"seconds": 60})
    state = until(client, started["id"], lambda state: "progress" in state)
    assert state["status"] == "Running"
    assert state["percentComplete"] == 75
    assert state["progress"] == {"done": 3, "total": 4, "message": "step 3", "data": {"step": 3}}
    client.post(f"/status/{started['id']}:cancel")


def test_kept_for_a_day(client: httpx.Client) -> None:
    """Without a declaration a monitor stays 24 hours after the end."""
    state = run(client, "/trial/t1:nothing")
    kept = datetime.fromisoformat(state["expiresAt"]) - datetime.fromisoformat(state["lastActionDateTime"])
    assert kept == timedelta(hours=24)


def test_expired_operations_go(client: httpx.Client) -> None:
    """Housekeeping removes what is past its expiresAt: monitor and list forget it."""
    started = begin(client, "/trial/t1:brief")
    for _ in range(1200):
        answer = client.get(f"/status/{started['id']}")
        if answer.status_code == 404:
            break
        time.sleep(0.05)
    assert answer.json()["error"]["code"] == "OperationNotFound"
    assert client.get("/status").json()["value"] == []


def test_result_is_what_the_monitor_shows(client: httpx.Client) -> None:
    """200 with the result alone, as JSON."""
    state = run(client, "/trial/t1:wait", {"seconds": 0})
    answer = client.get(f"/status/{state['id']}/result")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == state["result"]
    assert "retry-after" not in answer.headers


def test_large_result(client: httpx.Client) -> None:
    """A result above what a row holds comes back whole, in the monitor and by itself."""
    state = run(client, "/trial/t1:large", {"size": 40_000})
    assert state["result"] == {"text": "é" * 40_000}
    assert client.get(f"/status/{state['id']}/result").json() == state["result"]


def test_result_where_there_is_none(client: httpx.Client) -> None:
    """204 without a body for an action that returns nothing; its monitor has no `result`."""
    state = run(client, "/trial/t1:nothing")
    answer = client.get(f"/status/{state['id']}/result")
    assert (answer.status_code, answer.content) == (204, b"")
    assert set(state) == ENDED | {"percentComplete"}


def test_result_before_the_end(client: httpx.Client) -> None:
    """409 OperationNotFinished, and when to come back."""
    started = begin(client, "/trial/t1:wait-sync", {"seconds": 60})
    answer = client.get(f"/status/{started['id']}/result")
    assert (answer.status_code, answer.headers["retry-after"]) == (409, "7")
    assert answer.headers["x-ms-error-code"] == answer.json()["error"]["code"] == "OperationNotFinished"
    client.post(f"/status/{started['id']}:cancel")
    ended(client, started["id"])


def test_result_of_what_failed(client: httpx.Client) -> None:
    """409 OperationFailed for a failed and for a canceled operation, without Retry-After."""
    failed = run(client, "/trial/t1:fail")
    canceled = begin(client, "/trial/t1:wait", {"seconds": 60})
    client.post(f"/status/{canceled['id']}:cancel")
    ended(client, canceled["id"])
    for operation_id, said in ((failed["id"], "TrialFailed"), (canceled["id"], "Canceled")):
        answer = client.get(f"/status/{operation_id}/result")
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "OperationFailed")
        assert said in answer.json()["error"]["message"]
        assert "retry-after" not in answer.headers


def test_unknown_operations(client: httpx.Client) -> None:
    """Unknown ids, well-formed or not, are 404 OperationNotFound at every route of the monitor."""
    for operation_id in ("no-such", "0" * 64, "0" * 65, ".hidden", "a%2Fb", "a%20b", "%C3%A9", "a%01"):
        for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/result"), ("POST", ":cancel")):
            answer = client.request(method, f"/status/{operation_id}{path}")
            found = (answer.status_code, answer.json()["error"]["code"], answer.headers.get("x-ms-error-code"))
            assert found == (404, "OperationNotFound", "OperationNotFound"), (method, operation_id, path)


def test_monitor_says_the_same_each_time(client: httpx.Client) -> None:
    """A terminal monitor never changes."""
    state = run(client, "/trial/t1:fail")
    assert all(monitor(client, state["id"]) == state for _ in range(3))
