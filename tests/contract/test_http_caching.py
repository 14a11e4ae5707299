"""Monitors that have ended, in the caller's own cache: an ETag of what they show, and 304 for who has it.

RFC 9110, sections 8.8 and 13; RFC 9111, section 5.2.2.
"""

import time

import httpx
import pytest

from tests.support.described import SUBSCRIPTION
from tests.support.lro import PATIENCE, begin, ended, run, running

KEPT = "private, no-cache"


def monitors(client: httpx.Client) -> dict[str, str]:
    """The path of a finished operation's monitor, of every kind that answers 200."""
    posted = run(client, "/trial/m1:wait", {"seconds": 0})["id"]
    failed = run(client, "/trial/m1:fail")["id"]
    put = client.put("/trial/m1", json={}, headers={"Prefer": "wait=30"}).headers["operation-id"]
    job = f"job-{posted}"
    assert client.put(f"/trial-jobs/{job}", json={}, headers={"Prefer": "wait=30"}).status_code == 201
    thing = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/kept/providers/Contoso.Things/asyncThings/{posted}"
    made = client.put(f"{thing}?api-version=2026-01-01", json={"location": "westeurope"})
    for operation in (put, job):
        ended(client, operation)
    return {
        "status": f"/status/{posted}",
        "failed": f"/status/{failed}",
        "resource": f"/trial/m1/operations/{put}",
        "operation": f"/trial-jobs/{job}",
        "arm": str(httpx.URL(made.headers["azure-asyncoperation"]).raw_path, "ascii"),
    }


def last(client: httpx.Client, path: str) -> httpx.Response:
    """The first answer of a monitor that has ended."""
    deadline = time.monotonic() + PATIENCE
    while "retry-after" in (answer := client.get(path)).headers:
        assert time.monotonic() < deadline, f"it did not end in time: {path}"
        time.sleep(0.05)
    return answer


def test_monitors_that_have_ended(client: httpx.Client) -> None:
    """200 with an ETag for the caller's own cache, 304 without a body for who has it, on GET and on HEAD."""
    tags: set[str] = set()
    for kind, path in monitors(client).items():
        first = last(client, path)
        tag = first.headers["etag"]
        tags.add(tag)
        assert (first.status_code, first.headers["cache-control"]) == (200, KEPT), kind
        for method in ("GET", "HEAD"):
            for known in (tag, f'"x", {tag}', f"W/{tag}", "*"):
                again = client.request(method, path, headers={"If-None-Match": known})
                assert (again.status_code, again.content) == (304, b""), (kind, method, known)
                assert (again.headers["etag"], again.headers["cache-control"]) == (tag, KEPT)
            other = client.request(method, path, headers={"If-None-Match": '"x"'})
            assert (other.status_code, other.headers["etag"]) == (200, tag)
    assert len(tags) == 5, "one monitor does not pass for another one"


def test_monitors_of_what_goes_on(client: httpx.Client) -> None:
    """Nobody keeps what changes with the next poll, whatever a caller says it knows."""
    started = begin(client, "/trial/m2:wait", {"seconds": 60})
    running(client, started["id"])
    answer = client.get(f"/status/{started['id']}", headers={"If-None-Match": "*"})
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert "etag" not in answer.headers
    canceled = client.post(f"/status/{started['id']}:cancel", headers={"If-None-Match": "*"})
    assert (canceled.status_code, canceled.headers["cache-control"]) == (200, "no-store")
    assert "etag" not in canceled.headers


def test_the_tag_is_of_what_is_shown(client: httpx.Client) -> None:
    """Two operations that ended alike have different tags, and one operation has its own at each of its URLs."""
    put = client.put("/trial/m3", json={}, headers={"Prefer": "wait=30"}).headers["operation-id"]
    here, there = last(client, f"/status/{put}"), last(client, f"/trial/m3/operations/{put}")
    assert (here.content == there.content) == (here.headers["etag"] == there.headers["etag"])
    one, two = (run(client, "/trial/m3:nothing")["id"] for _ in range(2))
    assert len({last(client, f"/status/{operation}").headers["etag"] for operation in (one, two)}) == 2


@pytest.mark.parametrize("verb", ["cancel", "start"])
def test_a_write_has_no_tag_of_the_monitor(client: httpx.Client, verb: str) -> None:
    """Its answer shows a monitor that has ended, too, and is no answer to a GET: nobody keeps it."""
    job = {"Prefer": "wait=30"}
    answer = client.put(f"/trial-jobs/kept-{verb}", json={}, headers=job)
    if verb == "cancel":
        answer = client.post(f"/trial-jobs/kept-{verb}:cancel", headers={"If-None-Match": "*"})
    assert answer.json()["status"] == "Succeeded"
    assert answer.headers["cache-control"] == "no-store"
    assert "etag" not in answer.headers
