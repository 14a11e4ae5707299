"""What holds for every route of every profile: headers of the answers, and bodies that nobody decodes."""

import gzip

import httpx
import pytest

from tests.support.described import described
from tests.support.lro import run

CODED = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
PAGES = ("/openapi.json", "/docs", "/docs/page.js", "/operations", "/operations/page.js")
REVALIDATED = dict.fromkeys(PAGES, "no-cache")
"""What an ETag is asked for again; all else is kept by nobody."""

UNKNOWN = [("GET", "/nowhere"), ("PATCH", "/health"), ("POST", "/odata/Nothing"), ("PUT", "/subscriptions/x")]


@pytest.fixture
def routes(client: httpx.Client) -> list[tuple[str, str]]:
    found = [*described(client), *UNKNOWN]
    assert len(found) > 60
    return found


def test_what_caches_and_browsers_are_told(client: httpx.Client, routes: list[tuple[str, str]]) -> None:
    """No answer is kept by a cache that is shared, errors neither, and no browser guesses a content type."""
    statuses: set[int] = set()
    for method, target in routes:
        # Trials that wait, wait no time; the others refuse what they do not know.
        body = None if method in ("GET", "DELETE") else {"seconds": 0}
        answer = client.request(method, target, json=body)
        statuses.add(answer.status_code)
        assert answer.headers["x-content-type-options"] == "nosniff", (method, target)
        has_ended = method == "GET" and "/trial-jobs/" in target and "etag" in answer.headers
        kept = (
            REVALIDATED.get(target, "private, no-cache" if has_ended else "no-store")
            if answer.is_success
            else "no-store"
        )
        assert answer.headers["cache-control"] == kept, (method, target)
    assert {200, 202, 400, 404, 405} <= statuses


def test_results_are_kept_by_nobody(client: httpx.Client) -> None:
    """What an operation has made may be shown once: no cache has it, whatever is asked about it."""
    state = run(client, "/trial/x1:wait", {"seconds": 0})
    answer = client.get(f"/status/{state['id']}/result", headers={"If-None-Match": '"x"'})
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert "etag" not in answer.headers


def test_bodies_with_a_content_encoding(client: httpx.Client, routes: list[tuple[str, str]]) -> None:
    """Each route says that it takes bodies as they are, before it looks at one; so does what no route takes."""
    for method, target in routes:
        answer = client.request(method, target, content=gzip.compress(b"{}"), headers=CODED)
        assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "identity"), (method, target)
        assert answer.json()["error"]["code"] == answer.headers["x-ms-error-code"] == "UnsupportedContentEncoding"
        assert ("odata-version" in answer.headers) == target.startswith("/odata"), target
        assert ("x-ms-correlation-request-id" in answer.headers) == target.startswith("/subscriptions"), target


def test_no_body_has_no_encoding_and_no_type(client: httpx.Client) -> None:
    """As curl sends it with `-d ''`: what is said of the content says nothing where there is none (RFC 9110, 8)."""
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Content-Encoding": "gzip"}
    for target, status in (("/trial/x1:nothing", 202), ("/odata/TrialNothing", 204), ("/trial-jobs/empty-body", 201)):
        method = "PUT" if status == 201 else "POST"
        answer = client.request(method, target, content=b"", headers=headers)
        assert answer.status_code == status, answer.text
    assert client.get("/status", headers=headers).status_code == 200
