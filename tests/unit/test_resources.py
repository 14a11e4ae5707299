"""ARM resources over their lives: states, locks, what fails, what PUT and PATCH change, lists, conditions."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from shared.actions import ActionContext, ActionFailed, ArmResource, Model
from shared.model.operation import Status
from shared.resources.model import ResourceKey
from shared.resources.store import ResourceStore
from tests.support.arm_parts import OTHER_SUB, ArmApi, arm_api, body_of, code, path_of
from tests.support.arm_things import ALL, Thing, ThingProperties, async_things
from tests.support.parts import LEASES, FaultyStorage

PATH = path_of("asyncThings", "One")


class Pair(Model):
    """Another thing to hold."""

    other: str


pairs = ArmResource("Contoso.Pairs", "pairs", api_versions=["2026-01-01"], properties=ThingProperties)


@pairs.create_or_replace()
async def make(context: ActionContext, pair: Thing) -> Thing:
    return pair


@pairs.action("join", also_lock=lambda pair, request: [request.other])
async def join(context: ActionContext, pair: Thing, request: Pair) -> None:
    if request.other == "failing":
        raise ActionFailed("No", "No.")


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[ArmApi]:
    async with arm_api(tmp_path, *ALL, pairs) as api:
        yield api


async def state(api: ArmApi, path: str = PATH) -> str:
    return (await api.shown(path))["properties"]["provisioningState"]


async def test_states_of_a_life(api: ArmApi) -> None:
    """Accepted until an attempt has begun, then Creating, Updating, Deleting; the desired body is shown meanwhile."""
    steps = [
        ("PUT", {"location": "westeurope", "properties": {"note": "a"}}, "Creating", "a"),
        ("PUT", {"properties": {"note": "b"}}, "Updating", "b"),
        ("PATCH", {"properties": {"note": "c"}}, "Updating", "c"),
        ("DELETE", None, "Deleting", "c"),
    ]
    for method, body, word, note in steps:
        await api(method, PATH, body)
        assert await state(api) == "Accepted"
        seen: list[dict[str, Any]] = []
        _, work = api.engine.started[-1]
        operation = await api.application.records.read(work.locator)
        assert operation is not None

        from shared.model import lifecycle

        claimed = await api.application.records.change(
            operation, lambda o: lifecycle.claim(o, api.clock.now(), holder="x", timeout=o.keep, leases=LEASES)
        )
        seen.append((await api.shown(PATH))["properties"])
        assert (seen[0]["provisioningState"], seen[0]["note"]) == (word, note)
        # Given back, as a host does that stops: the word does not go back to Accepted.
        await api.application.records.change(
            claimed, lambda o: lifecycle.give_back(o, api.clock.now(), fence=o.fence, not_before=api.clock.now())
        )
        assert await state(api) == word
        await api.drain()
    assert (await api("GET", PATH)).status == 404
    assert (await api.put(PATH)).status == 201  # it can be made again


async def test_failed_and_canceled_changes(api: ArmApi) -> None:
    """A creation that failed leaves what was asked for; an update or delete that failed leaves the old body."""
    await api.put(PATH, {"properties": {"mode": "fail", "note": "wanted"}})
    assert (await state(api), (await api.shown(PATH))["properties"]["note"]) == ("Failed", "wanted")
    await api.put(PATH, {"properties": {"mode": None, "note": "good"}})
    assert await state(api) == "Succeeded"
    await api("PATCH", PATH, {"properties": {"mode": "fail", "note": "worse"}})
    await api.drain()
    assert (await state(api), (await api.shown(PATH))["properties"]["note"]) == ("Failed", "good")
    await api("PATCH", PATH, {"properties": {"note": "fail"}})
    await api.drain()
    await api("DELETE", PATH)
    await api.drain()
    assert await state(api) == "Failed"
    await api("PATCH", PATH, {"properties": {"note": "x"}})
    await cancel(api)
    assert (await state(api), (await api.shown(PATH))["properties"]["note"]) == ("Canceled", "fail")


async def cancel(api: ArmApi) -> None:
    _, work = api.engine.started.pop()
    url = f"{path_of('x')}".partition("/resourceGroups")[0] + "/providers/Contoso.Things/locations/westeurope"
    assert (await api("POST", f"{url}/operationStatuses/{work.locator.id}/cancel")).status == 200


async def test_busy(api: ArmApi) -> None:
    """While an operation holds the resource every other write is 409; reads go on; actions leave the state alone."""
    await api.put(PATH)
    await api("POST", f"{PATH}/add", {})
    assert await state(api) == "Succeeded"
    for method, suffix in (("PUT", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/touch")):
        assert code(await api(method, PATH + suffix, {} if method != "DELETE" else None)) == (
            409,
            "OperationInProgress",
        )
    await api.drain()
    assert (await api("PATCH", PATH, {})).status == 202


@pytest.mark.parametrize(
    ("method", "body", "other"),
    [
        ("PUT", {"location": "westeurope", "tags": {"a": "1"}}, {"location": "westeurope"}),
        ("PATCH", {"tags": {"a": "1"}}, {"tags": {"a": "2"}}),
        ("DELETE", None, None),
    ],
)
async def test_the_same_write_finds_its_operation(api: ArmApi, method: str, body: Any, other: Any) -> None:
    """While it holds the resource, the same request is answered as before; another one, or a later one, is not."""
    await api.put(PATH)
    tag = (await api("GET", PATH)).headers["ETag"]
    first = await api(method, PATH, body, if_match=tag)
    monitor = first.headers["Azure-AsyncOperation"]
    again = await api(method, PATH.upper().replace("SUBSCRIPTIONS", "subscriptions"), body, if_match=tag)
    assert (again.status, again.body) == (first.status, first.body)
    assert again.headers["Azure-AsyncOperation"] == monitor
    assert len(api.engine.started) == 1
    for sent, headers in ((body, {}), (body, {"if_match": "*"}), (other, {"if_match": tag} if other else {})):
        refused = await api(method, PATH, sent, **headers)
        assert code(refused) == (409, "OperationInProgress")
        assert monitor in body_of(refused)["error"]["message"]
        assert refused.headers["Retry-After"] == first.headers["Retry-After"]
    await api.drain()
    if method != "DELETE":
        assert (await api(method, PATH, body)).headers["Azure-AsyncOperation"] != monitor


async def test_the_same_action_is_another_one(api: ArmApi) -> None:
    """A POST does what it does as often as it is sent, so while the first one runs the second is refused."""
    await api.put(PATH)
    assert (await api("POST", f"{PATH}/add", {})).status == 202
    assert code(await api("POST", f"{PATH}/add", {})) == (409, "OperationInProgress")


async def test_concurrent_puts(api: ArmApi) -> None:
    """Of many PUTs at once exactly one starts; the others are 409, and there is one operation."""
    paths = [PATH.replace("One", f"oN{'eE'[i % 2]}") for i in range(12)]
    bodies = [{"location": "westeurope", "tags": {"number": str(i)}} for i in range(12)]
    answers = await asyncio.gather(*(api("PUT", path, body) for path, body in zip(paths, bodies, strict=True)))
    assert sorted(a.status for a in answers) == [201] + [409] * 11
    assert len(api.engine.started) == 1


async def test_replace_resets_and_update_keeps(api: ArmApi) -> None:
    """create_or_replace resets what is left out, create_or_update keeps it; read-only properties stay in both."""
    full = {"tags": {"a": "1"}, "properties": {"note": "n", "inner": {"one": 1, "two": 2}}}
    for path in (PATH, pair := path_of("pairs", "p", namespace="Contoso.Pairs")):
        await api.put(path, full)
        await api.put(path, {"properties": {"inner": {"one": 5}}})
    kept, reset = await api.shown(PATH), await api.shown(pair)
    assert kept["tags"] == {"a": "1"}
    assert kept["properties"] == {
        "note": "n", "inner": {"one": 5, "two": 2}, "made": 2, "provisioningState": "Succeeded",
    }  # fmt: skip
    assert (reset["tags"], reset["properties"]) == ({}, {"inner": {"one": 5}, "provisioningState": "Succeeded"})


async def test_patch_merges(api: ArmApi) -> None:
    """RFC 7396 on tags and properties; null removes; the whole envelope of a read resource may come back."""
    await api.put(PATH, {"tags": {"a": "1", "b": "2"}, "properties": {"note": "n", "inner": {"one": 1}}})
    await api("PATCH", PATH, {"tags": {"a": None, "c": "3"}, "properties": {"note": None, "inner": {"two": 2}}})
    await api.drain()
    read = await api.shown(PATH)
    assert read["tags"] == {"b": "2", "c": "3"}
    assert read["properties"] == {"inner": {"one": 1, "two": 2}, "made": 2, "provisioningState": "Succeeded"}
    assert (await api("PATCH", PATH, {**read, "location": "West Europe", "tags": {"d": "4"}})).status == 202
    await api.drain()
    assert (await api.shown(PATH))["tags"] == {"b": "2", "c": "3", "d": "4"}
    await api("PATCH", PATH, {"tags": None, "properties": None})
    await api.drain()
    read = await api.shown(PATH)
    assert (read["tags"], read["properties"]) == ({}, {"made": 4, "provisioningState": "Succeeded"})


async def test_names_compare_without_case(api: ArmApi) -> None:
    """One resource under any case of its path; names come back as the creator wrote them."""
    await api.put(PATH)
    shouted = PATH.upper().replace("/SUBSCRIPTIONS", "/Subscriptions")
    assert await api.shown(shouted) == await api.shown(PATH)
    assert (await api.put(shouted)).status == 200
    assert (await api.shown(shouted))["id"] == PATH
    listed = body_of(await api("GET", path_of("ASYNCTHINGS", group="RG", sub=PATH.split("/")[2].upper())))["value"]
    assert [each["id"] for each in listed] == [PATH]


async def test_lists(api: ArmApi) -> None:
    """By resource group and by subscription, in pages, each resource once, with its derived state, nobody else's."""
    for group in ("rg", "rg2", "(rg)"):
        for name in ("a", "b", "c"):
            await api.put(path_of("asyncThings", name, group=group))
    await api.put(path_of("asyncThings", "a", sub=OTHER_SUB))
    await api.put(path_of("locationThings", "a"))
    await api("PATCH", path_of("asyncThings", "b"), {})
    for path, expected in (
        (path_of("asyncThings"), 3),
        (path_of("asyncThings").replace("/resourceGroups/rg", ""), 9),
        (path_of("asyncThings", group="none"), 0),
    ):
        found: list[str] = []
        states: list[str] = []
        link: str | None = f"{path}?$top=2"
        while link:
            page = body_of(await api("GET", link))
            found += [each["id"] for each in page["value"]]
            states += [each["properties"]["provisioningState"] for each in page["value"]]
            link = page.get("nextLink")
            assert link is None or (link.startswith("http://h:1/subscriptions/") and "api-version=" in link)
        assert len(set(found)) == len(found) == expected
        assert states.count("Accepted") == min(1, expected)


async def test_also_held(api: ArmApi) -> None:
    """An action holds what it names besides its own resource, until it has ended; both or neither."""
    one, two = (path_of("pairs", name, namespace="Contoso.Pairs") for name in ("one", "two"))
    await api.put(one)
    await api.put(two)
    assert code(await api("POST", f"{one}/join", {"other": "three"})) == (400, "InvalidResourceReference")
    assert (await api("POST", f"{two}/join", {"other": "ONE"})).status == 202
    for path in (one, two):
        assert code(await api("PUT", path, {})) == (409, "OperationInProgress")
    assert code(await api("POST", f"{one}/join", {"other": "two"})) == (409, "OperationInProgress")
    await api.drain()
    for path in (one, two):
        row = await ResourceStore(api.storage, clock=api.clock).read(ResourceKey.parse(path))
        assert row is not None
        assert row.lock is None
    await api("PUT", two, {})
    assert code(await api("POST", f"{one}/join", {"other": "two"})) == (409, "OperationInProgress")
    assert (await api("PUT", one, {})).status == 200  # nothing of the refused one holds


async def test_crossed_actions_do_not_block_each_other(api: ArmApi) -> None:
    """Two actions that hold the same two resources from both sides: one starts, the other is 409, each time."""
    paths = [path_of("pairs", name, namespace="Contoso.Pairs") for name in ("one", "two")]
    for path in paths:
        await api.put(path)
    for _ in range(5):
        calls = [
            api("POST", f"{paths[0]}/join", {"other": "two"}), api("POST", f"{paths[1]}/join", {"other": "one"}),
        ]  # fmt: skip
        answers = await asyncio.gather(*calls)
        assert sorted(a.status for a in answers) == [202, 409]
        await api.drain()


async def test_preconditions_release(tmp_path: Path) -> None:
    """A refused precondition leaves nothing behind: no resource, no operation, no lock."""
    from shared.actions import RequestError

    guarded = ArmResource("Contoso.Guarded", "guards", api_versions=["2026-01-01"], properties=ThingProperties)

    @guarded.create_or_replace()
    async def put(context: ActionContext, thing: Thing) -> Thing:
        return thing

    @put.precondition
    async def refuse(thing: Thing) -> None:
        if thing.properties.note == "bad":
            raise RequestError(400, "BadNote", "No.")

    async with arm_api(tmp_path, guarded) as api:
        path = path_of("guards", "g", namespace="Contoso.Guarded")
        bad = {"location": "x", "properties": {"note": "bad"}}
        assert code(await api("PUT", path, bad)) == (400, "BadNote")
        assert (await api("GET", path)).status == 404
        assert await ResourceStore(api.storage, clock=api.clock).read(ResourceKey.parse(path)) is None
        await api.put(path, {"properties": {"note": "good"}})
        assert code(await api("PUT", path, {"properties": {"note": "bad"}})) == (400, "BadNote")
        assert (await api.shown(path))["properties"]["provisioningState"] == "Succeeded"
        assert (await api("PUT", path, {})).status == 200


async def test_conditions(api: ArmApi) -> None:
    """ETag, If-Match and If-None-Match: 412 on writes, 304 on reads, and the order busy before conditions."""
    assert code(await api("PUT", PATH, {"location": "x"}, if_match="*")) == (412, "PreconditionFailed")
    assert code(await api("DELETE", PATH, if_match='"x"')) == (412, "PreconditionFailed")
    assert (await api("DELETE", PATH)).status == 204
    assert (await api.put(PATH, if_none_match="*")).status == 201
    assert code(await api("PUT", PATH, {}, if_none_match="*")) == (412, "PreconditionFailed")
    tag = (await api("GET", PATH)).headers["ETag"]
    known = await api("GET", PATH, if_none_match=f'"other", W/{tag}')
    assert (known.status, known.body, known.headers["ETag"]) == (304, b"", tag)
    for headers in ({"if_match": '"x"'}, {"if_match": f"W/{tag}"}, {"if_none_match": tag}):
        assert code(await api("PATCH", PATH, {}, **headers)) == (412, "PreconditionFailed")
    assert (await api("PATCH", PATH, {"tags": {"a": "b"}}, if_match=f'"x", {tag}')).status == 202
    assert code(await api("PATCH", PATH, {}, if_match=tag)) == (409, "OperationInProgress")
    await api.drain()
    assert (await api("GET", PATH)).headers["ETag"] != tag
    assert code(await api("POST", f"{PATH}/touch", {}, if_match=tag)) == (412, "PreconditionFailed")


async def test_system_data(tmp_path: Path) -> None:
    """Who and when: the creation's stays, the last change's moves; a repeated systemData is ignored."""
    environment = {"TRUST_PLATFORM_AUTH": "true", "WEBSITE_AUTH_ENABLED": "true"}
    async with arm_api(tmp_path, async_things, **environment) as api:
        ann, bob = ({"x_ms_client_principal_id": n, "x_ms_client_principal_idp": "aad"} for n in ("ann", "bob"))
        assert code(await api("PUT", PATH, {"location": "x"})) == (401, "Unauthenticated")
        await api.put(PATH, **ann)
        first = body_of(await api("GET", PATH, **bob))
        assert first["systemData"]["createdBy"] == first["systemData"]["lastModifiedBy"] == "aad:ann"
        await api("PATCH", PATH, {"systemData": first["systemData"], "tags": {"a": "b"}}, **bob)
        await api.drain()
        second = body_of(await api("GET", PATH, **bob))["systemData"]
        assert (second["createdBy"], second["lastModifiedBy"]) == ("aad:ann", "aad:bob")
        assert second["createdAt"] == first["systemData"]["createdAt"]


async def test_storage_requests_of_a_start(tmp_path: Path) -> None:
    """A PUT is four storage requests: read the row, take it, look the id up, insert the operation; a GET is one."""
    async with arm_api(tmp_path, async_things, faulty=True) as api:
        assert isinstance(api.storage, FaultyStorage)
        await api("PUT", f"{PATH}-before", {"location": "x"})  # It has the pauses looked at, once for some seconds.
        await api.drain()
        api.faults.reads = api.faults.writes = 0
        await api("PUT", PATH, {"location": "x"})
        assert (api.faults.reads, api.faults.writes) == (2, 2)
        await api.drain()
        api.faults.reads = 0
        await api.shown(PATH)
        assert api.faults.reads == 1


def test_status_words() -> None:
    """Terminal words are exactly ARM's, and the same as the operation's."""
    assert {s.value for s in Status if s.is_terminal} == {"Succeeded", "Failed", "Canceled"}
