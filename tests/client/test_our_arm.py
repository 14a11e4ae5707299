"""The client against the app's ARM resources: each header model, verb and final state.

The operations of one verb run side by side; each is waited for once its time has come.
"""

from itertools import cycle
from typing import Any
from uuid import uuid4

import pytest

from lro_client import FinalState, OperationCanceled, OperationFailed, Pace, StartRefused, Status
from tests.client.clocks import QuickClock
from tests.client.twins import KINDS, Twins
from tests.support.arm_things import MODELS, NAMESPACE, VERSION
from tests.support.host import LocalHost
from tests.support.lro import identity

pytestmark = [pytest.mark.timeout(60), pytest.mark.xdist_group("client-host")]

QUICK: dict[str, Any] = {"pace": Pace(first=0.1, longest=1), "clock": QuickClock()}
NEW = {"location": "westeurope", "properties": {"note": "n"}}
VERBS: dict[str, tuple[str, str, Any]] = {
    "create": ("PUT", "", NEW),
    "replace": ("PUT", "", {"location": "westeurope", "properties": {"note": "m"}}),
    "update": ("PATCH", "", {"tags": {"a": "b"}}),
    "delete": ("DELETE", "", None),
    "add": ("POST", "/add", {"a": 2, "b": 3}),
    "touch": ("POST", "/touch", {}),
}
FINAL_STATES = (None, *FinalState)
CANCELABLE = [name for name, model in MODELS.items() if model.async_operation]


@pytest.fixture
def client(host: LocalHost, twins: Twins) -> Any:
    caller = identity(uuid4().hex)
    return twins.client("ArmClient", endpoint=host.url, api_version=VERSION, headers=caller, **QUICK)


@pytest.fixture
def group() -> str:
    """A resource group that nobody has used before, with the namespace below it."""
    return f"/subscriptions/{uuid4()}/resourceGroups/rg/providers/{NAMESPACE}"


def value_fits(verb: str, state: FinalState | None, type: str, id: str, value: Any) -> bool:
    """What each verb comes to: the resource, the action's result, or nothing."""
    if verb in ("delete", "touch"):
        return value is None or is_monitor(verb, state, type, value)
    if verb == "add":
        return value == {"total": 5}
    return value["id"] == id and value["properties"]["provisioningState"] == "Succeeded"


def is_monitor(verb: str, state: FinalState | None, type: str, value: Any) -> bool:
    """A POST that says that its result is the monitor, and has none in it, has the whole monitor as its value."""
    keeps = state in (FinalState.AZURE_ASYNC_OPERATION, FinalState.OPERATION_LOCATION)
    return verb == "touch" and keeps and MODELS[type].async_operation and value["status"] == "Succeeded"


@pytest.mark.parametrize(("verb", "twins"), list(zip(VERBS, cycle(KINDS), strict=False)), indirect=["twins"])
def test_every_header_model_and_final_state(client: Any, group: str, verb: str) -> None:
    """The value is the same whatever the headers are, and wherever the client is told to look for it. The two kinds of
    client take turns: that both look in the same place is proven without an app."""
    # The URL of an action can be posted to and not read: nobody can find its result there.
    states = [state for state in FINAL_STATES if VERBS[verb][0] != "POST" or state is not FinalState.ORIGINAL_URI]
    rows = [(type, state, f"{group}/{type}/{state or 'none'}") for type in MODELS for state in states]
    if verb != "create":
        made = [client.create_or_replace(id, NEW) for _, _, id in rows]
        for operation in made:
            operation.wait(timeout=20)
    method, suffix, body = VERBS[verb]
    operations = [client.start(method, id + suffix, json=body, final_state=state) for _, state, id in rows]
    for operation, (type, state, id) in zip(operations, rows, strict=True):
        value = operation.wait(timeout=20)
        assert operation.status is Status.SUCCEEDED
        assert value_fits(verb, state, type, id, value), (type, state, value)


@pytest.mark.parametrize("type", MODELS)
def test_failure(client: Any, group: str, type: str) -> None:
    """A PUT, a DELETE and a POST that fail raise with the provider's code, whichever monitor says so."""
    ids = [f"{group}/{type}/{name}" for name in ("put", "delete", "post")]
    note = {"location": "westeurope", "properties": {"note": "fail"}}
    for operation in [client.create_or_replace(id, note) for id in ids[1:]]:
        operation.wait(timeout=20)
    operations = [
        client.create_or_replace(ids[0], {"location": "westeurope", "properties": {"mode": "fail"}}),
        client.delete(ids[1]),
        client.action(ids[2], "add", {"mode": "fail"}),
    ]
    for operation in operations:
        with pytest.raises(OperationFailed, match="This thing fails") as caught:
            operation.wait(timeout=20)
        assert (caught.value.code, operation.status) == ("ThingFailed", Status.FAILED)


@pytest.mark.parametrize("type", CANCELABLE)
def test_cancel(client: Any, group: str, type: str) -> None:
    """An operation with operationStatuses is canceled there, and ends as canceled."""
    operation = client.create_or_replace(
        f"{group}/{type}/c1", {"location": "westeurope", "properties": {"mode": "wait"}}
    )
    assert operation.try_cancel() is True
    with pytest.raises(OperationCanceled):
        operation.wait(timeout=20)


@pytest.mark.parametrize("type", MODELS)
def test_resume(host: LocalHost, twins: Twins, group: str, type: str) -> None:
    """Another client goes on from either token, and comes to the resource."""
    caller = identity(uuid4().hex)
    options: dict[str, Any] = {"endpoint": host.url, "api_version": VERSION, "headers": caller, **QUICK}
    first = twins.client("ArmClient", **options).create_or_replace(f"{group}/{type}/r1", NEW)
    second = twins.client("ArmClient", **options)
    for token in (first.token(), first.dotnet_token()):
        assert second.resume(token).wait(timeout=20)["name"] == "r1"


def test_refused(client: Any, group: str) -> None:
    """What ARM refuses at once raises with its code."""
    with pytest.raises(StartRefused) as caught:
        client.update(f"{group}/asyncThings/none", {"tags": {}})
    assert (caught.value.status_code, caught.value.code) == (404, "ResourceNotFound")


def test_delete_of_nothing(client: Any, group: str) -> None:
    """204 at once: there is nothing to delete, and nothing to watch."""
    operation = client.delete(f"{group}/asyncThings/none")
    assert (operation.has_completed, operation.value, operation.monitor_url) == (True, None, None)
