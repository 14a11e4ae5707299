"""What ARM requests are refused for: a clear 4xx, and nothing has changed."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from shared.actions import ArmResource
from tests.support.arm_parts import BASE, SUB, ArmApi, arm_api, body_of, code, path_of
from tests.support.arm_things import ALL, ThingProperties

PATH = path_of("asyncThings", "one")
WEST = {"location": "westeurope"}
limited = ArmResource(
    "Contoso.Limited", "cells", api_versions=["2026-01-01"], properties=ThingProperties, locations=["West Europe"]
)
limited.create_or_replace()(next(v.handler.function for v in ALL[0].verbs if v.verb == "write"))


loose = ArmResource(
    "Contoso.Limited", "loose", api_versions=["2026-01-01"], properties=ThingProperties, name_pattern=".+"
)
loose.create_or_replace()(next(v.handler.function for v in ALL[0].verbs if v.verb == "write"))


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[ArmApi]:
    async with arm_api(tmp_path, *ALL, limited, loose, MAX_BODY_BYTES="200000") as api:
        yield api


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
async def test_api_version(api: ArmApi, method: str) -> None:
    """Required and known, on every verb; the message says what is supported."""
    body = None if method in ("GET", "DELETE") else WEST
    assert code(await api(method, PATH, body, version=None)) == (400, "MissingApiVersionParameter")
    assert code(await api(method, PATH, body, version="")) == (400, "MissingApiVersionParameter")
    unknown = await api(method, PATH, body, version="2025-01-01")
    assert code(unknown) == (400, "UnsupportedApiVersionValue")
    assert "2026-01-01, 2026-02-02-preview" in body_of(unknown)["error"]["message"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (path_of("asyncThings", "one", sub="not-a-guid"), "InvalidSubscriptionId"),
        (path_of("asyncThings", "one", sub=SUB + "0"), "InvalidSubscriptionId"),
        (path_of("asyncThings", "o_ne"), "InvalidResourceName"),
        (path_of("asyncThings", "o%21ne"), "InvalidResourceName"),
        (path_of("asyncThings", "one", group="rg."), "InvalidResourceGroupName"),
        (path_of("asyncThings", "one", group="r%23g"), "InvalidResourceGroupName"),
        (path_of("asyncThings", "one", group="r" * 91), "InvalidResourceGroupName"),
    ],
)
async def test_names(api: ArmApi, path: str, expected: str) -> None:
    """A malformed subscription id, and names outside their patterns."""
    assert code(await api("PUT", path, WEST)) == (400, expected)
    assert code(await api("GET", path)) == (400, expected)


BAD_BODIES: list[tuple[Any, tuple[int, str], str]] = [
    ({}, (400, "LocationRequired"), "location"),
    ({"location": None}, (400, "LocationRequired"), "location"),
    ({"location": 5}, (400, "InvalidInput"), "location"),
    ({"location": "no/where"}, (400, "InvalidLocation"), "location"),
    ({**WEST, "sku": {}}, (400, "InvalidInput"), "sku"),
    ({**WEST, "properties": {"shape": 1}}, (400, "InvalidInput"), ""),
    ({**WEST, "properties": {"inner": {"three": 3}}}, (400, "InvalidInput"), ""),
    ({**WEST, "properties": {"note": 5}}, (400, "InvalidInput"), ""),
    ({**WEST, "properties": []}, (400, "InvalidInput"), "properties"),
    ({**WEST, "properties": {"made": 1}}, (400, "InvalidInput"), "properties.made"),
    ({**WEST, "properties": {"provisioningState": "Succeeded"}}, (400, "InvalidInput"), "properties.provisioningState"),
    ({**WEST, "name": "two"}, (400, "InvalidInput"), "name"),
    ({**WEST, "id": "/x"}, (400, "InvalidInput"), "id"),
    ({**WEST, "type": "Contoso.Things/other"}, (400, "InvalidInput"), "type"),
    ({**WEST, "tags": []}, (400, "InvalidInput"), "tags"),
    ({**WEST, "tags": {"a": 1}}, (400, "InvalidInput"), "tags.a"),
    ({**WEST, "tags": {"a": "1", "A": "2"}}, (400, "DuplicateTagName"), "tags.A"),
    ({**WEST, "tags": {str(n): "" for n in range(51)}}, (400, "TooManyTags"), "tags"),
    ({**WEST, "properties": {"note": "x" * 31_000}}, (413, "ResourceTooLarge"), ""),
    (b"{", (400, "InvalidJson"), ""),
    (b"[]", (400, "InvalidJson"), ""),
    (b'{"note": "' + b"x" * 200_000 + b'"}', (413, "RequestBodyTooLarge"), ""),
]


@pytest.mark.parametrize(("body", "expected", "target"), BAD_BODIES)
async def test_bodies(api: ArmApi, body: Any, expected: tuple[int, str], target: str) -> None:
    """Every member that does not fit is named, and no resource, operation or hold is made."""
    answer = await api("PUT", PATH, body)
    assert code(answer) == expected
    if target:
        assert body_of(answer)["error"]["target"] == target
    assert (await api("GET", PATH)).status == 404
    assert api.engine.started == []
    assert (await api.put(PATH)).status == 201


@pytest.mark.parametrize("name", ["sku", "identity", "kind", "zones", "managedBy", "etag", "id", "name", "systemData"])
async def test_a_null_says_nothing(api: ArmApi, name: str) -> None:
    """Clients with one model for all resources write null for what one does not have; read-only members likewise."""
    await api.put(PATH, {name: None, "properties": {"made": None, "provisioningState": None, "note": "n"}})
    assert (await api.shown(PATH))["properties"]["note"] == "n"
    assert (await api("PATCH", PATH, {name: None, "properties": {"made": None}})).status == 202
    assert code(await api("PUT", PATH, {**WEST, "skew": None})) in [(400, "InvalidInput"), (409, "OperationInProgress")]


async def test_tags_are_told_apart_without_case(api: ArmApi) -> None:
    """A PATCH finds the tag of a PUT by any spelling of its name, which stays as it was; a null removes it."""
    await api.put(PATH, {"tags": {"Env": "test", "a": "1"}})
    assert (await api("PATCH", PATH, {"tags": {"env": "prod"}})).status == 202
    await api.drain()
    assert (await api.shown(PATH))["tags"] == {"Env": "prod", "a": "1"}
    assert (await api("PATCH", PATH, {"tags": {"ENV": None}})).status == 202
    await api.drain()
    assert (await api.shown(PATH))["tags"] == {"a": "1"}
    assert code(await api("PATCH", PATH, {"tags": {"A": "1", "a": "2"}})) == (400, "DuplicateTagName")


async def test_an_empty_body_has_no_type(api: ArmApi) -> None:
    """What a client says of a body that it does not send says nothing (RFC 9110, section 8.3)."""
    await api.put(PATH)
    headers = {"content_type": "application/x-www-form-urlencoded", "content_encoding": "gzip"}
    assert (await api("POST", f"{PATH}/touch", None, **headers)).status == 202
    await api.drain()
    assert (await api("DELETE", PATH, None, **headers)).status == 202


async def test_properties_are_named_with_their_path(api: ArmApi) -> None:
    """What the model refuses has its target below `properties`, with the words that every profile uses."""
    error = body_of(await api("PUT", PATH, {**WEST, "properties": {"inner": {"three": 3}}}))["error"]
    assert [(d["code"], d["target"]) for d in error["details"]] == [("UnknownField", "properties.inner.three")]


async def test_what_is_stored_cannot_be_changed(api: ArmApi) -> None:
    """Another location, state, id or read-only value is 400; the stored one, in any spelling ARM knows, is ignored."""
    await api.put(PATH, {"properties": {"note": "n"}})
    read = await api.shown(PATH)
    for method in ("PUT", "PATCH"):
        for change in (
            {"location": "northeurope"}, {"id": read["id"] + "x"}, {"name": "two"}, {"type": "Contoso.Things/others"},
            {"properties": {"provisioningState": "Failed"}}, {"properties": {"made": 99}},
        ):  # fmt: skip
            assert code(await api(method, PATH, {**read, **change}))[0] == 400, change
        same = {
            "location": "West Europe",
            "id": read["id"].upper(),
            "name": "ONE",
            "type": "contoso.things/asyncthings",
        }
        assert (await api(method, PATH, {**read, **same})).status in (200, 202)
        await api.drain()
        read = await api.shown(PATH)
        assert read["location"] == "westeurope"
    assert code(await api("PATCH", PATH, {"location": "north europe"})) == (400, "InvalidResourceLocation")


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_system_data_of_a_client(api: ArmApi, method: str) -> None:
    """A resource that was read before somebody wrote it is written with the old `systemData`, which is no wish."""
    await api.put(PATH, {"properties": {"note": "n"}, "systemData": {"createdBy": "me"}})
    read = await api.shown(PATH)
    assert "me" not in read["systemData"].values()
    del read["properties"]
    api.clock.pass_by(minutes=1)
    assert (await api("PATCH", PATH, {"tags": {"a": "1"}})).status == 202
    await api.drain()
    assert (await api(method, PATH, {**read, "tags": {"a": "2"}})).status in (200, 202)
    await api.drain()
    now = await api.shown(PATH)
    assert (now["tags"], now["systemData"]["createdAt"]) == ({"a": "2"}, read["systemData"]["createdAt"])


async def test_what_is_not_there(api: ArmApi) -> None:
    """GET, PATCH and actions of what does not exist are 404; DELETE is 204 and has nothing to follow."""
    for method, suffix, body in (("GET", "", None), ("PATCH", "", {}), ("POST", "/touch", {})):
        assert code(await api(method, PATH + suffix, body)) == (404, "ResourceNotFound")
    gone = await api("DELETE", PATH)
    assert (gone.status, gone.body) == (204, b"")
    assert not {"Location", "Azure-AsyncOperation", "Retry-After"} & gone.headers.keys()


async def test_bodies_of_actions_and_delete(api: ArmApi) -> None:
    """An action's body may be empty or {}; unknown members are 400; what takes none is given none."""
    await api.put(PATH)
    for body in (None, {}):
        assert (await api("POST", f"{PATH}/add", body)).status == 202
        await api.drain()
        assert (await api("POST", f"{PATH}/touch", body)).status == 202
        await api.drain()
    assert code(await api("POST", f"{PATH}/add", {"c": 1})) == (400, "InvalidInput")
    assert code(await api("POST", f"{PATH}/touch", {"a": 1})) == (400, "InvalidInput")
    assert code(await api("DELETE", PATH, {"a": 1})) == (400, "InvalidInput")
    assert (await api.shown(PATH))["properties"]["provisioningState"] == "Succeeded"


async def test_lists(api: ArmApi) -> None:
    """Unknown parameters, sizes and tokens of a list."""
    for query, expected in (
        ("$top=0", "InvalidTop"), ("$top=x", "InvalidTop"), ("$top=1001", "InvalidTop"),
        ("$skipToken=x", "InvalidSkipToken"), ("$skipToken=!!", "InvalidSkipToken"),
        ("$filter=x", "UnknownQueryParameter"),
    ):  # fmt: skip
        assert code(await api("GET", f"{path_of('asyncThings')}?{query}")) == (400, expected)


async def test_declared_locations(api: ArmApi) -> None:
    """A type that is in some locations only is refused in another one."""
    path = path_of("cells", "c", namespace="Contoso.Limited")
    assert code(await api("PUT", path, {"location": "mars"})) == (400, "LocationNotAvailableForResourceType")
    assert (await api("PUT", path, {"location": "WestEurope"})).status == 201


async def test_request_ids(api: ArmApi) -> None:
    """Correlation ids come back, or are made; the client's id only where it asks for it; also on errors."""
    first = await api("GET", PATH, x_ms_client_request_id="c", x_ms_correlation_request_id="k")
    assert first.headers["x-ms-correlation-request-id"] == "k"
    assert first.headers["x-ms-request-id"]
    assert "x-ms-client-request-id" not in first.headers
    second = await api("GET", PATH, x_ms_client_request_id="c", x_ms_return_client_request_id="True")
    assert second.headers["x-ms-client-request-id"] == "c"
    assert second.headers["x-ms-correlation-request-id"] == second.headers["x-ms-request-id"]
    third = await api("GET", PATH, x_ms_correlation_request_id="k\n")
    assert third.headers["x-ms-correlation-request-id"] == third.headers["x-ms-request-id"]


@pytest.mark.parametrize(
    ("environment", "referer", "expected"),
    [
        ({}, "https://management.azure.com/x", BASE),
        ({"TRUST_REFERER": "true"}, "https://management.azure.com/subscriptions/x?y", "https://management.azure.com"),
        ({"TRUST_REFERER": "true"}, "https://arm:444", "https://arm:444"),
        ({"TRUST_REFERER": "true"}, "https://a@b/", BASE),
        ({"TRUST_REFERER": "true"}, "javascript:alert(1)", BASE),
        ({"TRUST_REFERER": "true"}, "", BASE),
        ({"TRUST_REFERER": "true", "PUBLIC_BASE_URL": "https://p/"}, "https://management.azure.com/", "https://p"),
    ],
)
async def test_hosts(tmp_path: Path, environment: dict[str, str], referer: str, expected: str) -> None:
    """The configured address, else the referer's where it is trusted, else the request's; on starts and on 202s."""
    async with arm_api(tmp_path, *ALL, **environment) as api:
        await api.put(path_of("bothThings", "b"))
        answer = await api("PATCH", path_of("bothThings", "b"), {}, referer=referer)
        for name in ("Location", "Azure-AsyncOperation"):
            assert answer.headers[name].startswith(f"{expected}/subscriptions/")
        local = BASE + answer.headers["Location"].removeprefix(expected)
        assert (await api("GET", local, referer=referer)).headers["Location"] == answer.headers["Location"]


@pytest.mark.parametrize("name", ["a!b", "a b", 'a"b', "a#b", "a?b", "a\\b", "ä", "a%2Fb", "a\x7f"])
async def test_names_that_no_store_holds(api: ArmApi, name: str) -> None:
    """A type that declares any name still refuses what cannot be a key, instead of failing at the store."""
    path = path_of("loose", quote(name), namespace="Contoso.Limited")
    if name != "a%2Fb":
        assert code(await api("PUT", path, WEST)) == (400, "InvalidResourceName")
    for fine in ("a$b~|z", "-", "(x)"):
        name_path = path_of("loose", quote(fine), namespace="Contoso.Limited")
        assert (await api.put(name_path)).status in (200, 201)
    assert len(body_of(await api("GET", path_of("loose", namespace="Contoso.Limited")))["value"]) == 3
