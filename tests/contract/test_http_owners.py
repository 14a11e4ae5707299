"""Operations belong to who started them. The hosts run with TRUST_PLATFORM_AUTH and WEBSITE_AUTH_ENABLED.

Rules: App Service, "Work with user identities".
"""

from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest

from tests.support.host import LocalHost
from tests.support.lro import ask, begin, caller, ended, identity, listing, monitor, running

pytestmark = pytest.mark.both_stores


@pytest.fixture
def other(host: LocalHost) -> Iterator[httpx.Client]:
    with caller(host.url) as other:
        yield other


ROUTES = (("GET", ""), ("GET", "/result"), ("POST", ":cancel"), ("POST", ":retry"), ("DELETE", ""))


def test_foreign_operations_do_not_exist(client: httpx.Client, other: httpx.Client) -> None:
    """Somebody else's id answers exactly as an unknown one, at every route, and nothing happens to the operation."""
    name = f"shared-{uuid4().hex}"
    unknown = [other.request(method, f"/status/{name}{path}") for method, path in ROUTES]
    begin(client, "/trial/t1:wait", {"seconds": 60}, **{"Operation-Id": name})
    running(client, name)
    foreign = [other.request(method, f"/status/{name}{path}") for method, path in ROUTES]
    assert {answer.status_code for answer in foreign} == {404}
    assert [answer.content for answer in foreign] == [answer.content for answer in unknown]
    assert [set(answer.headers) for answer in foreign] == [set(answer.headers) for answer in unknown]
    assert monitor(client, name)["status"] == "Running"
    client.post(f"/status/{name}:cancel")
    assert ended(client, name)["status"] == "Canceled"


def test_lists_are_separate(client: httpx.Client, other: httpx.Client) -> None:
    """Each sees what he started and nothing else."""
    mine, theirs = begin(client, "/trial/t1:nothing")["id"], begin(other, "/trial/t1:nothing")["id"]
    assert [item["id"] for item in listing(client)] == [mine]
    assert [item["id"] for item in listing(other)] == [theirs]


def test_ids_are_separate(client: httpx.Client, other: httpx.Client) -> None:
    """Two owners may choose the same Operation-Id for different requests: two operations."""
    begin(client, "/trial/t1:wait", {"seconds": 0}, **{"Operation-Id": "same"})
    begin(other, "/trial/t2:nothing", **{"Operation-Id": "same"})
    assert ended(client, "same")["kind"] == "trial:wait"
    assert ended(other, "same")["kind"] == "trial:nothing"
    assert client.delete("/status/same").status_code == 204
    assert other.get("/status/same").status_code == 200


def test_a_foreign_operation_that_holds_a_resource_is_not_named(client: httpx.Client, other: httpx.Client) -> None:
    """Its caller is told which one it is, and finds it by the same request; another caller is told only to wait."""
    path = f"/trial/slow{uuid4().hex[:8]}"
    first = client.put(path, json={})
    refused = other.put(path, json={})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "OperationInProgress")
    assert first.headers["operation-id"] not in refused.text
    assert int(refused.headers["retry-after"]) >= 1
    assert first.headers["operation-id"] in client.delete(path).text
    assert client.put(path, json={}).headers["operation-id"] == first.headers["operation-id"]
    client.post(f"/status/{first.headers['operation-id']}:cancel")


def test_the_same_name_of_another_provider_is_somebody_else(host: LocalHost, client: httpx.Client) -> None:
    """A principal is the identity provider and the id together."""
    operation_id = begin(client, "/trial/t1:nothing")["id"]
    google = {**client.headers, "x-ms-client-principal-idp": "google"}
    assert ask("GET", f"{host.url}/status/{operation_id}", headers=google).status_code == 404


@pytest.mark.parametrize("headers", [{}, {"x-ms-client-principal-idp": "aad"}, {"x-ms-client-principal-id": ""}])
def test_nobody_is_refused(host: LocalHost, headers: dict[str, str]) -> None:
    """Without a principal every route but health is 401, and nothing is created."""
    for method, path in (("POST", "/trial/t1:nothing"), ("GET", "/status"), ("GET", "/status/x"), ("GET", "/trial/x")):
        answer = ask(method, f"{host.url}{path}", headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "Unauthenticated")
    assert ask("GET", f"{host.url}/health", headers=headers).status_code == 200


def test_headers_of_a_principal_count_only_when_trusted(settings_host: LocalHost) -> None:
    """Without both settings anybody could send these headers, so all callers share one owner."""
    version = {"api-version": "2026-01-01"}
    with httpx.Client(verify=False, base_url=settings_host.url, params=version) as client:
        started = client.post("/trial/t1:nothing", headers=identity("alice"))
        assert client.get(f"/status/{started.json()['id']}", headers=identity("bob")).status_code == 200
