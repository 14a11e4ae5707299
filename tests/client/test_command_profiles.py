"""`lro arm` and `lro odata` against the app."""

import json
from uuid import uuid4

import pytest

from tests.client.lro_command import lro
from tests.support.arm_things import NAMESPACE, VERSION

pytestmark = [pytest.mark.timeout(60), pytest.mark.xdist_group("client-command")]

NEW = json.dumps({"location": "westeurope", "properties": {"note": "n"}})


def test_arm(app_url: str) -> None:
    """A resource is created, changed, acted on and deleted; each is waited for."""
    id = f"/subscriptions/{uuid4()}/resourceGroups/rg/providers/{NAMESPACE}/bothThings/t1"
    common = ["--api-version", VERSION, "--endpoint", app_url, "--wait", "-o", "json"]
    made = lro("arm", "put", id, "-d", NEW, *common)
    assert (made.code, made.json["result"]["properties"]["provisioningState"]) == (0, "Succeeded")
    changed = lro("arm", "patch", id, "-d", '{"tags": {"a": "b"}}', *common)
    assert changed.json["result"]["tags"] == {"a": "b"}
    added = lro("arm", "action", id, "add", "-d", '{"a": 2, "b": 3}', *common, "--final-state-via", "location")
    assert added.json["result"] == {"total": 5}
    failed = lro("arm", "action", id, "add", "-d", '{"mode": "fail"}', *common)
    assert (failed.code, failed.json["error"]["code"]) == (1, "ThingFailed")
    gone = lro("arm", "delete", id, *common)
    assert (gone.code, gone.json["status"], "result" in gone.json) == (0, "Succeeded", False)
    assert lro("arm", "patch", id, "-d", "{}", *common).code == 1


def test_arm_wait_and_cancel(app_url: str) -> None:
    """An ARM monitor's URL is enough for wait, status and cancel."""
    id = f"/subscriptions/{uuid4()}/resourceGroups/rg/providers/{NAMESPACE}/asyncThings/t1"
    body = json.dumps({"location": "westeurope", "properties": {"mode": "wait"}})
    line = ["arm", "put", id, "-d", body, "--api-version", VERSION, "--endpoint", app_url]
    monitor = lro(*line).out.strip()
    assert "/operationStatuses/" in monitor
    assert lro("cancel", monitor, "--wait").code == 3


def test_odata_call(app_url: str) -> None:
    """An action that goes on is watched, or waited for; one that is answered at once has its result at once."""
    root = f"{app_url}/odata"
    monitor = lro("odata", "call", root, "TrialWait", "-d", '{"seconds": 0.2}').out.strip()
    assert "/$async/" in monitor
    assert lro("wait", monitor, "--profile", "odata", "-o", "json").json["result"]["seconds"] == 0.2
    waited = lro("odata", "call", root, "TrialSized", "-d", '{"size": 3000}', "--wait", "-o", "json")
    assert (waited.code, [len(text) for text in waited.json["result"]["value"]]) == (0, [1000] * 3)
    at_once = lro("odata", "call", root, "TrialWait", "-d", '{"seconds": 0}', "--prefer-wait", "10")
    assert json.loads(at_once.out)["attempt"] == 1


def test_odata_failure_behind_a_200(app_url: str) -> None:
    """AsyncResult 4xx is a failure, with the monitor's URL and the status code."""
    done = lro("odata", "call", f"{app_url}/odata", "TrialFail", "--wait", "-o", "json")
    assert (done.code, done.json["status"]) == (1, "Failed")
    assert (done.json["error"]["code"], done.json["error"]["statusCode"]) == ("TrialFailed", 422)
    assert "/$async/" in done.json["monitorUrl"]


def test_odata_cancel(app_url: str) -> None:
    """An undoable action is canceled by its monitor's URL, which is gone then. Whoever does not say that it is OData's
    gets the line that does."""
    monitor = lro("odata", "call", f"{app_url}/odata", "TrialWaitLong", "-d", '{"seconds": 60}').out.strip()
    refused = lro("cancel", monitor, "-o", "json")
    assert (refused.code, refused.json["error"]["code"]) == (1, "CancelRefused")
    for text in (refused.err, refused.json["error"]["message"]):
        assert f"OData service: lro cancel '{monitor}' --profile odata. With --url" in text
    assert lro("cancel", monitor, "--profile", "odata").code == 0
    assert lro("status", monitor, "--profile", "odata").code == 1


def test_bodies_of_a_batch(app_url: str) -> None:
    """What a GET of a batch gave is in JSON alone, and the help says so."""
    requests = [{"id": "1", "method": "GET", "url": "Notes/$count"}]
    line = ["odata", "batch", f"{app_url}/odata", "-d", json.dumps({"requests": requests})]
    assert lro(*line).out.split() == ["1", "200"]
    body = lro(*line, "-o", "json").json["result"]["responses"][0]["body"]
    assert int(body) >= 0
    assert "What a GET gave, and every other body, is in -o json alone." in " ".join(
        lro("odata", "batch", "--help").out.split()
    )


@pytest.mark.parametrize("options", [[], ["--multipart"]])
def test_odata_batch(app_url: str, options: list[str]) -> None:
    """Each request of a batch has its line, or its entry; one that fails does not fail the others."""
    note = f"n{uuid4().hex[:10]}"
    requests = [
        {"id": "made", "method": "POST", "url": "Notes", "body": {"id": note, "text": "new"}},
        {"id": "missing", "method": "GET", "url": "Notes('nobody')"},
        {"id": "called", "method": "POST", "url": "TrialWait", "body": {"seconds": 0}},
    ]
    line = ["odata", "batch", f"{app_url}/odata", "-d", json.dumps({"requests": requests}), "--continue-on-error"]
    shown = lro(*line, *options, "-o", "json")
    assert (shown.code, shown.json["status"]) == (0, "Succeeded")
    assert "/$async/" in shown.json["monitorUrl"]
    responses = shown.json["result"]["responses"]
    assert [response["status"] for response in responses] == [201, 404, 200]
    assert responses[1]["error"]["code"] == "ResourceNotFound"
    requests[0]["body"] = {"id": f"{note}-2", "text": "new"}
    line[4] = json.dumps({"requests": requests})
    text = lro(*line, *options)
    assert [row.split("\t")[1] for row in text.out.splitlines()] == ["201", "404", "200"]
