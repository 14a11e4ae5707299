"""Operators act on the operations of others; to everybody else nothing has changed."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from shared.model.ids import Locator
from tests.support.host import LocalHost
from tests.support.lro import begin, caller, ended, identity, listing, monitor, running
from tests.support.signed_in import principal

pytestmark = pytest.mark.both_stores

READ, CANCEL = "operations.read.all", "operations.cancel.all"


def with_roles(host: LocalHost, *roles: str, name: str | None = None) -> httpx.Client:
    client = caller(host.url, name)
    client.headers["x-ms-client-principal"] = principal(*roles, name=READ)
    return client


@pytest.fixture
def name() -> str:
    return uuid4().hex


@pytest.fixture
def client(host: LocalHost, name: str) -> Iterator[httpx.Client]:
    with caller(host.url, name) as client:
        yield client


@pytest.fixture
def owner(name: str) -> str:
    return Locator.of(f"aad:{name}", "x").owner_hash


ROUTES: dict[str, tuple[str, str, str]] = {
    "read": ("GET", "", READ),
    "read the result": ("GET", "/result", READ),
    "cancel": ("POST", ":cancel", CANCEL),
    "delete": ("DELETE", "", CANCEL),
    "run again": ("POST", ":retry", CANCEL),
}
CALLERS: dict[str, tuple[str, ...]] = {
    "nobody special": (),
    "another role": ("operations.read", "OPERATIONS.READ.ALL"),
    "reader": (READ,),
    "canceler": (CANCEL,),
    "both": (READ, CANCEL),
}


@pytest.mark.parametrize("roles", CALLERS.values(), ids=CALLERS)
@pytest.mark.parametrize("act", ROUTES)
def test_route_by_caller(host: LocalHost, client: httpx.Client, owner: str, act: str, roles: tuple[str, ...]) -> None:
    """With the role of a route somebody else's operation answers as to its owner, and the log has who did it; without
    it, as an unknown one does, and nothing is logged."""
    method, path, role = ROUTES[act]
    name = "fail" if act == "run again" else "nothing"
    operation_id = begin(client, f"/trial/t1:{name}")["id"]
    mine = ended(client, operation_id)
    with with_roles(host, *roles) as operator:
        foreign = operator.request(method, f"/status/{operation_id}{path}?owner={owner}")
        unknown = operator.request(method, f"/status/{operation_id}{path}")
        assert unknown.status_code == 404
        who = f"(aad:{operator.headers['x-ms-client-principal-id']})"
    about = f"operation_id={operation_id} action=trial:{name} attempt={mine['attempt']}"
    line = f"{about}: An operator acts on it: {act} {who}"
    if role not in roles:
        assert (foreign.status_code, foreign.content) == (404, unknown.content)
        assert line not in host.log
        assert monitor(client, operation_id) == mine
        return
    statuses = {"read the result": 204, "delete": 204, "run again": 202}
    assert foreign.status_code == statuses.get(act, 200), foreign.text
    assert line in host.log
    if act in ("read", "cancel"):
        assert foreign.json() == mine
    if act == "run again":
        again = foreign.json()["id"]
        assert foreign.headers["operation-location"].endswith(f"/status/{again}?api-version=2026-01-01&owner={owner}")
        assert (
            f"operation_id={again} action=trial:fail attempt=0: It does operation {operation_id} again {who}"
            in host.log
        )
        assert ended(client, again)["retryOf"] == operation_id
    assert client.get(f"/status/{operation_id}").status_code == (404 if act == "delete" else 200)


@pytest.mark.parametrize("roles", CALLERS.values(), ids=CALLERS)
@pytest.mark.parametrize("whose", ["*", "owner"])
def test_lists_by_caller(host: LocalHost, client: httpx.Client, owner: str, whose: str, roles: tuple[str, ...]) -> None:
    """A list across owners is for readers; to others `owner` is a parameter that a list does not have."""
    operation_id = begin(client, "/trial/t1:nothing")["id"]
    ended(client, operation_id)
    whose = owner if whose == "owner" else "*"
    with with_roles(host, *roles) as operator:
        who = operator.headers["x-ms-client-principal-id"]
        answer = operator.get("/status", params={"owner": whose, "filter": "kind eq 'trial:nothing'"})
        line = f"An operator lists operations of {whose} (aad:{who})"
        assert (line in host.log) == (READ in roles)
        if READ not in roles:
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "UnknownQueryParameter")
            assert "owner" not in answer.json()["error"]["message"].partition("not")[0]
            return
        (item,) = [item for item in answer.json()["value"] if item["id"] == operation_id]
        assert item["owner"] == owner
        assert item["operationLocation"].endswith(f"&owner={owner}")
        assert operator.get(item["operationLocation"]).json()["id"] == operation_id
        # His own list is as it was.
        assert operator.get("/status").json() == {"value": []}


def test_pages_over_all_owners(host: LocalHost) -> None:
    """Every owner's operations, newest first, page by page, and counted; removed ones are gone."""
    label = f"run:{uuid4().hex}"
    made: list[tuple[str, str]] = []
    clients = [caller(host.url) for _ in range(3)]
    with with_roles(host, READ, CANCEL) as operator:
        for number in range(9):
            started = begin(clients[number % 3], "/trial/t1:nothing", **{"Operation-Labels": label})
            made.append((clients[number % 3].headers["x-ms-client-principal-id"], started["id"]))
        for number, (_, operation_id) in enumerate(made):
            ended(clients[number % 3], operation_id)
        query = {"owner": "*", "filter": f"labels/any(l:l eq '{label}')"}
        for top in ("2", "50"):
            found = listing(operator, **query, top=top)
            assert [item["id"] for item in found] == [operation_id for _, operation_id in reversed(made)]
            hashes = [Locator.of(f"aad:{name}", "x").owner_hash for name, _ in reversed(made)]
            assert [item["owner"] for item in found] == hashes
        count = operator.get("/status", params={**query, "count": "true"}).json()["count"]
        assert (count["active"], count["ended"]) == (0, 9)
        assert operator.delete(found[0]["operationLocation"]).status_code == 204
        assert [item["id"] for item in listing(operator, **query)] == [item["id"] for item in found[1:]]
    for client in clients:
        client.close()


def test_running_ones_over_all_owners(host: LocalHost, client: httpx.Client, owner: str) -> None:
    """What runs is seen with its status, found by that, and canceled from its row."""
    operation_id = begin(client, "/trial/t1:wait", {"seconds": 60})["id"]
    running(client, operation_id)
    with with_roles(host, READ, CANCEL) as operator:
        for filter, order in (("status eq 'Running'", "desc"), ("status eq 'Running'", "asc"), ("kind ne ''", "desc")):
            found = listing(operator, owner="*", filter=filter, orderby=f"createdDateTime {order}")
            (row,) = [item for item in found if item["id"] == operation_id]
            assert (row["status"], row["owner"], row["attempt"]) == ("Running", owner, 1)
        url, _, query = row["operationLocation"].partition("?")
        assert operator.post(f"{url}:cancel?{query}").status_code == 200
    assert ended(client, operation_id)["status"] == "Canceled"


def test_a_holder_is_named_to_who_may_read_all(host: LocalHost, client: httpx.Client, owner: str) -> None:
    """A start that is refused names the operation that holds the resource, with an URL that the operator can read."""
    path = f"/trial/slow{uuid4().hex[:8]}"
    holder = client.put(path, json={}).headers["operation-id"]
    try:
        for roles, is_named in (((), False), ((CANCEL,), False), ((READ,), True)):
            with with_roles(host, *roles) as other:
                refused = other.put(path, json={})
                assert refused.json()["error"]["code"] == "OperationInProgress"
                assert (holder in refused.text) == is_named
                if is_named:
                    url = refused.json()["error"]["details"][0]["message"]
                    assert url.endswith(f"/status/{holder}?api-version=2026-01-01&owner={owner}")
                    assert other.get(url).json()["id"] == holder
    finally:
        client.post(f"/status/{holder}:cancel")


@pytest.mark.parametrize("value", ["", "me", "ABCDEF0123456789", "0123456789abcdef0", "**"])
def test_no_owner(host: LocalHost, value: str) -> None:
    """An owner that cannot be is 400 in a list and nobody's on a monitor."""
    with with_roles(host, READ, CANCEL) as operator:
        refused = operator.get("/status", params={"owner": value})
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "InvalidOwner")
        assert operator.get("/status/x", params={"owner": value}).status_code == 404


def test_a_token_of_another_list(host: LocalHost, client: httpx.Client) -> None:
    """A page of one list does not go on in the other."""
    for _ in range(2):
        ended(client, begin(client, "/trial/t1:nothing")["id"])
    token = str(httpx.URL(client.get("/status?top=1").json()["nextLink"]).params["skipToken"])
    with with_roles(host, READ) as operator:
        assert operator.get("/status", params={"owner": "*", "skipToken": token}).status_code == 400


def test_roles_count_only_where_principals_are_trusted(settings_host: LocalHost) -> None:
    """Where anybody could send the header, nobody is an operator."""
    headers: dict[str, Any] = {**identity("alice"), "x-ms-client-principal": principal(READ, CANCEL)}
    version = {"api-version": "2026-01-01"}
    with httpx.Client(verify=False, base_url=settings_host.url, params=version, headers=headers) as client:
        assert client.get("/status", params={"owner": "*"}).json()["error"]["code"] == "UnknownQueryParameter"


SWITCH = {
    "list": ("GET", "/pauses", (READ, CANCEL)),
    "pause": ("POST", "/pauses:pause", (CANCEL,)),
    "resume": ("POST", "/pauses:resume", (CANCEL,)),
}


@pytest.mark.parametrize("roles", CALLERS.values(), ids=CALLERS)
@pytest.mark.parametrize("act", SWITCH)
def test_switch_by_caller(host: LocalHost, act: str, roles: tuple[str, ...]) -> None:
    """Who has no role is told which one to ask for, and nothing is paused."""
    method, path, needed = SWITCH[act]
    with with_roles(host, *roles) as operator:
        body = {"action": "trial:tick"} if method == "POST" else None
        answer = operator.request(method, path, json=body)
        try:
            if set(needed) & set(roles):
                assert answer.status_code == 200, answer.text
                return
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "RoleRequired")
            assert needed[0] in answer.json()["error"]["message"]
            assert "paused" not in operator.get("/health").json()
        finally:
            if act == "pause" and CANCEL in roles:
                operator.post("/pauses:resume", json={"action": "trial:tick"})


def test_pause_and_resume(host: LocalHost, client: httpx.Client) -> None:
    """A paused action starts nothing, is shown with who paused it, and goes on once resumed; the log has both."""
    with with_roles(host, CANCEL) as operator:
        who = f"aad:{operator.headers['x-ms-client-principal-id']}"
        try:
            (pause,) = operator.post("/pauses:pause", json={"action": "trial:nothing"}).json()["value"]
            assert (pause["action"], pause["by"]) == ("trial:nothing", who)
            refused = client.post("/trial/t1:nothing")
            assert (refused.status_code, refused.headers["x-ms-error-code"]) == (503, "ActionPaused")
            assert refused.headers["retry-after"] == "30"
            begun = client.post("/trial/t1:wait", json={"seconds": 0})
            assert begun.status_code == 202
            assert operator.get("/pauses").json()["value"] == [pause]
            assert client.get("/health").json() == {"status": "Healthy", "paused": ["trial:nothing"]}
        finally:
            assert operator.post("/pauses:resume", json={"action": "trial:nothing"}).json() == {"value": []}
        assert f"Paused: trial:nothing ({who})" in host.log
        assert f"Resumed: trial:nothing ({who})" in host.log
        for body in ({"action": "no:such"}, {"action": ""}, {}, {"action": "*", "more": 1}):
            assert operator.post("/pauses:pause", json=body).status_code == 400
    begin(client, "/trial/t1:nothing")


def test_links_to_results(host: LocalHost, client: httpx.Client, owner: str) -> None:
    """A monitor that names where its result lies names to an operator the URL that answers him."""
    operation_id = begin(client, "/result/t1:linked", {"size": 3})["id"]
    mine = ended(client, operation_id)["resourceLocation"]
    with with_roles(host, READ) as operator:
        theirs = operator.get(f"/status/{operation_id}?owner={owner}").json()["resourceLocation"]
        assert theirs == f"{mine}&owner={owner}"
        assert (client.get(mine).json(), operator.get(theirs).json()) == ({"text": "xxx"},) * 2
        assert operator.get(mine).status_code == 404
