"""Starts that name a time: what each profile shows of it, and which ones are refused (docs/protocol.md, "Later")."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import uuid4

import httpx
import pytest

from shared.model.times import write_time
from tests.support.lro import begin, ended

LATER = "Operation-Not-Before"
GROUP = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/later/providers/Contoso.Things"
VERSION = "?api-version=2026-01-01"
THING = {"location": "westeurope", "properties": {}}


def when(**length: float) -> str:
    return write_time(datetime.now(UTC) + timedelta(**length))


def error_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


@pytest.mark.both_stores
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "trial/{}:nothing"), ("PUT", "trial-jobs/{}"), ("PUT", "trial/{}"), ("DELETE", "trial/{}")],
)
def test_data_plane(client: httpx.Client, method: str, path: str) -> None:
    """Every start: the answer and the monitor show the time, nothing runs, and a cancel ends it at once."""
    due, body = when(hours=2), {"json": {}} if method != "DELETE" else {}
    answer = client.request(method, path.format(uuid4().hex), headers={LATER: due}, **body)
    assert answer.is_success, answer.text
    assert answer.headers[LATER] == due
    state = client.get(answer.headers["operation-location"])
    assert state.headers[LATER] == due
    shown = state.json()
    assert (shown["status"], shown["notBefore"], shown["waitingFor"]) == ("NotStarted", due, "time")
    assert shown["waitingSince"] == shown["createdDateTime"]
    assert int(state.headers["retry-after"]) == 30, "nothing happens before"
    canceled = client.post(answer.headers["operation-location"].replace("?", ":cancel?")).json()
    assert canceled["status"] == "Canceled"
    assert "waitingFor" not in canceled


@pytest.mark.parametrize("offset", ["Z", "+01:00", "-11:30"])
def test_a_time_that_has_come(client: httpx.Client, offset: str) -> None:
    """Starts at once."""
    state = begin(client, "/trial/past:nothing", **{LATER: f"2026-01-31T12:00:00{offset}"})
    assert ended(client, state["id"])["status"] == "Succeeded"


@pytest.mark.parametrize(
    "value",
    ["", "tomorrow", "2026-12-24", "2026-12-24T18:00:00", "1798131600", "2026-02-30T00:00:00Z", when(hours=25)],
    ids=["empty", "word", "date", "no offset", "seconds", "no such day", "past the deadline"],
)
def test_no_time(client: httpx.Client, value: str) -> None:
    """Refused, and nothing is started."""
    id = uuid4().hex
    answer = client.post("/trial/t1:nothing", json={}, headers={LATER: value, "Operation-Id": id})
    assert error_of(answer) == (400, "InvalidNotBefore")
    assert client.get(f"/status/{id}").status_code == 404


def test_it_is_a_part_of_the_request(client: httpx.Client) -> None:
    """The same id with the same time finds the operation, also in another zone; with another time it is refused."""
    headers = {"Operation-Id": uuid4().hex, LATER: when(hours=1)}
    first = begin(client, "/trial/t1:nothing", **headers)
    same = datetime.fromisoformat(headers[LATER]).astimezone(timezone(timedelta(hours=5))).isoformat()
    assert begin(client, "/trial/t1:nothing", **{**headers, LATER: same})["id"] == first["id"]
    for other in ({**headers, LATER: when(hours=3)}, {"Operation-Id": first["id"]}):
        assert error_of(client.post("/trial/t1:nothing", json={}, headers=other)) == (409, "OperationIdInUse")


def test_arm(client: httpx.Client) -> None:
    """PUT, POST and DELETE: the start names the time, and so does the monitor, by both of its URLs."""
    thing, due = f"{GROUP}/bothThings/{uuid4().hex}", when(hours=2)
    made = client.put(f"{thing}{VERSION}", json=THING, headers={LATER: due})
    assert (made.status_code, made.headers[LATER]) == (201, due)
    status = client.get(made.headers["azure-asyncoperation"])
    assert (status.json()["status"], status.json()["notBefore"]) == ("NotStarted", due)
    assert (status.json()["waitingFor"], status.headers[LATER]) == ("time", due)
    result = client.get(made.headers["location"])
    assert (result.status_code, result.headers[LATER]) == (202, due)
    url = httpx.URL(made.headers["azure-asyncoperation"])
    canceled = client.post(url.copy_with(path=f"{url.path}/cancel"))
    assert canceled.json()["status"] == "Canceled"
    refused = client.delete(f"{thing}{VERSION}", headers={LATER: "soon"})
    assert error_of(refused) == (400, "InvalidNotBefore")


def test_odata(client: httpx.Client) -> None:
    """An asynchronous request may name a time; one that is answered at once may not."""
    due = when(hours=2)
    answer = client.post("/odata/TrialWait", json={"seconds": 0}, headers={LATER: due, "Prefer": "respond-async"})
    assert (answer.status_code, answer.headers[LATER]) == (202, due)
    monitor = client.get(answer.headers["location"])
    assert (monitor.status_code, monitor.headers[LATER]) == (202, due)
    assert client.delete(answer.headers["location"]).status_code == 204
    assert error_of(client.post("/odata/TrialNothing", json={}, headers={LATER: due})) == (400, "InvalidNotBefore")
