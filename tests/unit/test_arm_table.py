"""Every verb with every header model: the start, its headers, the monitors, and the final results."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from shared.actions import ActionContext, ArmCombinedLroHeaders, ArmResource, File
from tests.support.arm_parts import BASE, SUB, ArmApi, arm_api, body_of, code, headers_by_verb, path_of
from tests.support.arm_things import ALL, MODELS, VERSION, Thing, ThingProperties

CREATE = {"location": "West Europe", "properties": {"note": "n"}}
VERBS: dict[str, tuple[str, str, Any]] = {
    "create": ("PUT", "", CREATE),
    "replace": ("PUT", "", {"properties": {"note": "m"}}),
    "update": ("PATCH", "", {"tags": {"a": "b"}, "location": "westeurope"}),
    "delete": ("DELETE", "", None),
    "add": ("POST", "/add", {"a": 2, "b": 3}),
    "touch": ("POST", "/touch", {}),
    "reflect": ("POST", "/reflect", None),
}
STATUS = {"create": 201, "replace": 200}


async def same(context: ActionContext, thing: Thing) -> Thing:
    return thing


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[ArmApi]:
    async with arm_api(tmp_path, *ALL) as api:
        yield api


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("type", MODELS)
async def test_verb_by_header_model(api: ArmApi, type: str, verb: str) -> None:
    """Headers are those of the model, absolute and self-contained; both monitors run and end as the contract says."""
    model, path = MODELS[type], path_of(type, "One")
    method, suffix, body = VERBS[verb]
    if verb != "create":
        await api.put(path, CREATE)
    answer = await api(method, path + suffix, body)
    assert answer.status == STATUS.get(verb, 202)
    assert answer.headers["Retry-After"] == "1"
    assert ("Azure-AsyncOperation" in answer.headers) == model.async_operation
    assert ("Location" in answer.headers) == model.location
    assert "Operation-Location" not in answer.headers
    if method == "PUT":
        assert body_of(answer)["properties"]["provisioningState"] == "Accepted"
        assert answer.headers["ETag"]
        assert "status" not in body_of(answer)  # pollers would read it as the operation's
    else:
        assert answer.body == b""
    prefix = f"{BASE}/subscriptions/{SUB}/providers/Contoso.Things/locations/westeurope"
    url = answer.headers.get("Azure-AsyncOperation") or answer.headers["Location"]
    operation_id = url.rpartition("/")[2].partition("?")[0]
    status, results = (f"{prefix}/{kind}/{operation_id}?api-version={VERSION}" for kind in KINDS)
    assert answer.headers.get("Azure-AsyncOperation", status) == status
    assert answer.headers.get("Location", results) == results

    await waits(api, status, results)
    await api.drain()
    await ends(api, verb, path, status, results)
    if verb == "delete":
        assert code(await api("GET", path)) == (404, "ResourceNotFound")
        assert (await api("GET", status)).status == 200  # the monitors outlive the resource


async def waits(api: ArmApi, status: str, results: str) -> None:
    """Both monitors of an operation that has not ended: 200 with its status, 202 without a body."""
    running, waiting = await api("GET", status), await api("GET", results)
    assert (running.status, body_of(running)["status"]) == (200, "NotStarted")
    assert (waiting.status, waiting.body, waiting.headers["Location"]) == (202, b"", results)
    for each in (running, waiting):
        assert each.headers["Retry-After"] == "1"
    assert "Location" not in running.headers
    assert not {"properties", "error", "endTime"} & body_of(running).keys()


async def ends(api: ArmApi, verb: str, path: str, status: str, results: str) -> None:
    """Both monitors of an operation that has succeeded: its result in `properties`, and as the whole answer."""
    operation_id = status.rpartition("/")[2].partition("?")[0]
    done, result = await api("GET", status), await api("GET", results)
    assert done.status == 200
    assert not {"Retry-After", "Location"} & done.headers.keys()
    operation = body_of(done)
    assert (operation["status"], operation["name"], operation["resourceId"]) == ("Succeeded", operation_id, path)
    assert operation["id"] == status.removeprefix(BASE).partition("?")[0]
    assert operation["percentComplete"] == 100.0
    assert operation["startTime"] <= operation["endTime"]
    assert "resourceLocation" not in operation
    if verb in ("delete", "touch"):
        assert result.status == 204
        assert "properties" not in operation
    else:
        assert result.status == 200
        assert operation["properties"] == body_of(result)
    if verb == "add":
        assert body_of(result) == {"total": 5}
    if verb in ("create", "replace", "update", "reflect"):
        assert body_of(result) == await api.shown(path)
        assert body_of(result)["id"] == path


KINDS = ("operationStatuses", "operationResults")


@pytest.mark.parametrize("type", MODELS)
@pytest.mark.parametrize("verb", ["create", "update", "delete", "add"])
async def test_failures(api: ArmApi, type: str, verb: str) -> None:
    """A failure is inside the 200 of operationStatuses, and the real status with ARM's error body at the results."""
    path, method, suffix = path_of(type, "one"), *VERBS[verb][:2]
    if verb != "create":
        await api.put(path, {"properties": {"note": "fail"} if verb == "delete" else {}})
    body = {"create": {**CREATE, "properties": {"mode": "fail"}}, "update": {"properties": {"mode": "fail"}}}
    await api(method, path + suffix, {"mode": "fail"} if verb == "add" else body.get(verb))
    status, results = await _monitors(api)
    await api.drain()
    failed = await api("GET", status)
    assert failed.status == 200
    assert body_of(failed)["status"] == "Failed"
    assert body_of(failed)["error"] == {"code": "ThingFailed", "message": "This thing fails."}
    assert "properties" not in body_of(failed)
    assert code(await api("GET", results)) == (409, "ThingFailed")
    state = (await api.shown(path))["properties"]["provisioningState"]
    assert state == ("Succeeded" if verb == "add" else "Failed")  # an action leaves it alone


@pytest.mark.parametrize("type", MODELS)
async def test_cancel(api: ArmApi, type: str) -> None:
    """Cancel answers 200 with the status; error is there too, the results answer 409, and the resource is Canceled."""
    path = path_of(type, "one")
    await api("PUT", path, CREATE)
    status, results = await _monitors(api)
    canceled = await api("POST", status.replace("?", "/cancel?"))
    assert (canceled.status, body_of(canceled)["status"]) == (200, "Canceled")
    assert body_of(canceled)["error"]["code"] == "OperationCanceled"
    again = await api("POST", status.replace("?", "/cancel?"))
    assert (again.status, body_of(again)) == (200, body_of(canceled))
    assert code(await api("GET", results)) == (409, "OperationCanceled")
    shown = await api.shown(path)
    assert (shown["properties"]["provisioningState"], shown["properties"]["note"]) == ("Canceled", "n")
    assert (await api("DELETE", path)).status == 202


async def _monitors(api: ArmApi) -> tuple[str, str]:
    """The monitors of the operation that was started last."""
    _, work = api.engine.started[-1]
    prefix = f"{BASE}/subscriptions/{SUB}/providers/Contoso.Things/locations/westeurope"
    first, second = (f"{prefix}/{kind}/{work.locator.id}?api-version={VERSION}" for kind in KINDS)
    return first, second


async def test_defaults() -> None:
    """As TypeSpec has them: PUT is Azure-AsyncOperation with the resource, all others are Location; 10 s."""
    for put in (ArmResource.create_or_replace, ArmResource.create_or_update):
        plain = ArmResource("Contoso.Plain", "plain", api_versions=[VERSION], properties=ThingProperties)
        put(plain)(_provision)
        plain.update()(_provision)
        plain.delete()(_remove)
        plain.action("restart")(_remove)
        plain.action("copy")(_provision)
        plain.action("move", lro_headers=ArmCombinedLroHeaders(final_result=Thing))(_provision)
        assert headers_by_verb(plain) == {
            "write": (True, False, 10), "update": (False, True, 10), "delete": (False, True, 10),
            "restart/action": (False, True, 10), "copy/action": (False, True, 10), "move/action": (True, True, 10),
        }  # fmt: skip


async def _provision(context: ActionContext, thing: Thing) -> Thing:
    return thing


async def _remove(context: ActionContext, thing: Thing) -> None:
    """Nothing is left to do."""


async def test_monitors_of_others(api: ArmApi) -> None:
    """Under another subscription, at another location, in another namespace or with no id it is 404, all the same."""
    await api("PUT", path_of("asyncThings", "one"), CREATE)
    status, results = await _monitors(api)
    for url in (status, results):
        assert code(await api("GET", url.replace(SUB, "9" + SUB[1:]))) == (404, "OperationNotFound")
        assert code(await api("GET", url.replace("westeurope", "northeurope"))) == (404, "OperationNotFound")
        assert code(await api("GET", url.replace("?", "x?"))) == (404, "OperationNotFound")
        assert code(await api("GET", url.replace("?", "!?"))) == (404, "OperationNotFound")
        assert (
            await api("GET", url.replace("westeurope", "West%20Europe").replace("providers", "PROVIDERS"))
        ).status < 300
    away = status.replace(SUB, "9" + SUB[1:]).replace("?", "/cancel?")
    assert code(await api("POST", away)) == (404, "OperationNotFound")


async def test_any_version_on_monitors(api: ArmApi) -> None:
    """A client may poll with another supported version than it started with, and is given URLs with it."""
    await api("PUT", path_of("locationThings", "one"), CREATE)
    _, results = await _monitors(api)
    other = results.replace(VERSION, "2026-02-02-preview")
    assert (await api("GET", other)).headers["Location"] == other
    assert code(await api("GET", results.replace(VERSION, "1999-01-01"))) == (400, "UnsupportedApiVersionValue")
    assert code(await api("GET", results.partition("?")[0], version=None)) == (400, "MissingApiVersionParameter")


async def test_what_clients_trip_over(api: ArmApi) -> None:
    """URLs are absolute and plain, paces whole seconds, nothing redirects, errors are whole, percentages numbers."""
    answers = [await api("PUT", path_of("bothThings", "one"), CREATE)]
    status, results = await _monitors(api)
    answers += [await api("GET", status), await api("GET", results)]
    await api.drain()
    answers += [await api("GET", status), await api("GET", results)]
    answers.append(await api("POST", path_of("bothThings", "one") + "/add", {"mode": "fail"}))
    failing, failed = await _monitors(api)
    await api.drain()
    answers += [await api("GET", failing), await api("GET", failed)]
    for answer in answers:
        assert not 300 <= answer.status < 400
        if "Retry-After" in answer.headers:
            assert re.fullmatch("[1-9][0-9]*", answer.headers["Retry-After"])
        for name in ("Location", "Azure-AsyncOperation"):
            if name in answer.headers:
                assert re.fullmatch(r"http://h:1/[^{}\"\\\s]+\?api-version=2026-01-01", answer.headers[name])
        operation = body_of(answer)
        if "error" in operation:
            assert operation["error"]["code"]
            assert operation["error"]["message"]
        if "startTime" in operation:
            assert isinstance(operation["status"], str)
        if "percentComplete" in operation:
            assert isinstance(operation["percentComplete"], float)


async def test_monitor_is_there_before_its_202(api: ArmApi) -> None:
    """Clients poll at once and do not repeat a 404, so the record is stored before the answer is made."""
    answer = await api("PUT", path_of("asyncThings", "one"), CREATE)
    assert (await api("GET", answer.headers["Azure-AsyncOperation"])).status == 200


async def test_status_monitor_never_points_elsewhere(api: ArmApi) -> None:
    """Clients adopt a `Location` or `resourceLocation` of a status monitor for their final GET."""
    await api("PUT", path_of("bothThings", "one"), CREATE)
    status, _ = await _monitors(api)
    answers = [await api("GET", status)]
    await api.drain()
    answers.append(await api("GET", status))
    for answer in answers:
        assert "Location" not in answer.headers
        assert "resourceLocation" not in body_of(answer)


async def test_results_are_202_until_they_are_the_result(api: ArmApi) -> None:
    """Anything but 202 is the result to a client that polls `Location`; a finished monitor is 200."""
    await api("PUT", path_of("bothThings", "one"), CREATE)
    await api.drain()
    await api("POST", path_of("bothThings", "one") + "/add", {"a": 2, "b": 3})
    status, results = await _monitors(api)
    assert (await api("GET", results)).status == 202
    await api.drain()
    assert (await api("GET", status)).status == 200
    answer = await api("GET", results)
    assert (answer.status, body_of(answer)) == (200, {"total": 5})


@pytest.mark.parametrize("type", MODELS)
async def test_link(api: ArmApi, type: str) -> None:
    """With `result="link"` the result is at `Location` alone; without, the status has it too, at any size."""
    await api("PUT", path_of(type, "one"), CREATE)
    await api.drain()
    await api("POST", path_of(type, "one") + "/dump", {"size": 100_000})
    status, results = await _monitors(api)
    await api.drain()
    dump = {"text": "x" * 100_000}
    monitor = body_of(await api("GET", status))
    assert monitor["status"] == "Succeeded"
    assert monitor.get("properties") == (None if MODELS[type].location else dump)
    assert "resourceLocation" not in monitor
    assert body_of(await api("GET", results)) == dump


async def test_file(tmp_path: Path) -> None:
    """An action that returns a file tells of it on both monitors, each time with a new URL."""

    async def export(context: ActionContext, thing: Thing) -> File:
        return File(b"a,b\n", file_name="thing.csv", content_type="text/csv")

    things = ArmResource("Contoso.Files", "things", api_versions=[VERSION], properties=ThingProperties)
    things.create_or_update()(same)
    things.action("export", lro_headers=ArmCombinedLroHeaders(final_result=File))(export)
    async with arm_api(tmp_path, things) as api:
        path = path_of("things", "one", namespace="Contoso.Files")
        await api("PUT", path, CREATE)
        await api.drain()
        answer = await api("POST", f"{path}/export")
        await api.drain()
        told = body_of(await api("GET", answer.headers["Azure-AsyncOperation"]))["properties"]
        results = await api("GET", answer.headers["Location"])
        assert (told["fileName"], told["size"]) == ("thing.csv", 4)
        assert results.content_type == "application/json"
        assert body_of(results).keys() == told.keys() >= {"downloadUrl", "downloadUrlExpiresAt"}


@pytest.mark.parametrize("type", MODELS)
async def test_monitors_outlive_the_deleted_resource(api: ArmApi, type: str) -> None:
    """A 404 while a DELETE is polled is a failure to .NET, so the monitors do not go with the resource."""
    await api("PUT", path_of(type, "one"), CREATE)
    await api.drain()
    await api("DELETE", path_of(type, "one"))
    status, results = await _monitors(api)
    await api.drain()
    assert (await api("GET", path_of(type, "one"))).status == 404
    assert (await api("GET", status)).status == 200
    assert (await api("GET", results)).status == 204


async def test_put_without_a_monitor_header_is_still_polled(api: ArmApi) -> None:
    """ARMPolling reads provisioningState from the resource; a missing one would mean that it has finished."""
    answer = await api("PUT", path_of("locationThings", "one"), CREATE)
    assert "Azure-AsyncOperation" not in answer.headers
    assert body_of(answer)["properties"]["provisioningState"] not in ("Succeeded", "Failed", "Canceled")


@pytest.mark.parametrize("type", MODELS)
async def test_asynchronous_patch_is_202(api: ArmApi, type: str) -> None:
    """.NET ignores the LRO headers of a PATCH that answers 200."""
    await api("PUT", path_of(type, "one"), CREATE)
    await api.drain()
    assert (await api("PATCH", path_of(type, "one"), {"tags": {"a": "b"}})).status == 202


async def test_monitor_urls_are_short(api: ArmApi) -> None:
    """Long URLs in two headers exceed what many servers and proxies take; state is kept here, not in them."""
    answer = await api("PUT", path_of("bothThings", "n" * 60), CREATE)
    assert len(answer.headers["Location"]) + len(answer.headers["Azure-AsyncOperation"]) < 2083
