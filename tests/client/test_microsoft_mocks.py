"""The client against `tsp-spector` and its Azure scenarios, which check every request and count what passed."""

from typing import Any

import httpx
import pytest

from lro_client import FinalState, Pace
from tests.client.clocks import QuickClock
from tests.client.twins import Twins

pytestmark = pytest.mark.xdist_group("client-spector")
VERSION = "2022-12-01-preview"
ARM_VERSION = "2023-12-01-preview"
SUBSCRIPTION = "/subscriptions/00000000-0000-0000-0000-000000000000"
GROUP = f"{SUBSCRIPTION}/resourceGroups/test-rg/providers"
TEMPLATES = "Azure.ResourceManager.OperationTemplates"
OPTIONS: dict[str, Any] = {"pace": Pace(first=0.01, longest=0.01), "clock": QuickClock()}


@pytest.fixture
def core(spector_url: str, twins: Twins) -> Any:
    return twins.client("DataPlaneClient", f"{spector_url}/azure/core/lro", api_version=VERSION, **OPTIONS)


@pytest.fixture
def arm(spector_url: str, twins: Twins) -> Any:
    return twins.client("ArmClient", endpoint=spector_url, api_version=ARM_VERSION, **OPTIONS)


def passed(url: str, scenario: str) -> bool:
    """Whether the mock service has seen all requests of the scenario as they should be."""
    results = httpx.get(f"{url}/.coverage", timeout=30, verify=False).json()[0]["results"]
    return results[scenario] == "pass"


def test_create_or_replace(core: Any, spector_url: str) -> None:
    """PUT of a resource: polled at Operation-Location with the start's api-version, then the resource is read."""
    user = core.start("PUT", "standard/users/madge", json={"role": "contributor"}).wait(timeout=30)
    assert user == {"name": "madge", "role": "contributor"}
    assert passed(spector_url, "Azure_Core_Lro_Standard_createOrReplace")


def test_delete(core: Any, spector_url: str) -> None:
    """DELETE: the operation ends and has no value."""
    operation = core.start("DELETE", "standard/users/madge")
    assert (operation.id, operation.wait(timeout=30)) == ("operation2", None)
    assert operation.status == "Succeeded"
    assert passed(spector_url, "Azure_Core_Lro_Standard_delete")


def test_export(core: Any, spector_url: str) -> None:
    """POST of an action: the result is in the monitor; `InProgress` is a word for running."""
    operation = core.start("POST", "standard/users/madge:export?format=json")
    words = [snapshot.word for snapshot in operation]
    assert words == ["InProgress", "Succeeded"]
    assert operation.value == {"name": "madge", "resourceUri": "/users/madge"}
    assert passed(spector_url, "Azure_Core_Lro_Standard_export")


def test_rpc(core: Any, spector_url: str) -> None:
    """POST with no resource behind it."""
    assert core.run("POST", "rpc/generations:submit", json={"prompt": "text"}, timeout=30) == {"data": "text data"}
    assert passed(spector_url, "Azure_Core_Lro_Rpc_longRunningRpc")


def test_arm_create_or_replace(arm: Any, spector_url: str) -> None:
    """PUT: polled at Azure-AsyncOperation, then the resource is read."""
    body = {"location": "eastus", "properties": {"productId": "product1", "amount": 1}}
    order = arm.create_or_replace(f"{GROUP}/{TEMPLATES}/orders/order1", body).wait(timeout=30)
    assert (order["name"], order["properties"]["provisioningState"]) == ("order1", "Succeeded")
    assert passed(spector_url, "Azure_ResourceManager_OperationTemplates_Lro_createOrReplace")


def test_arm_export(arm: Any, spector_url: str) -> None:
    """POST with both headers: Azure-AsyncOperation is polled, the result lies at Location."""
    operation = arm.action(
        f"{GROUP}/{TEMPLATES}/orders/order1", "export", {"format": "csv"}, final_state=FinalState.LOCATION
    )
    assert operation.wait(timeout=30) == {"content": "order1,product1,1"}
    assert passed(spector_url, "Azure_ResourceManager_OperationTemplates_Lro_export")


def test_arm_export_array(arm: Any, spector_url: str) -> None:
    """The same at subscription level; the result is a list, and is read as one."""
    start = f"{SUBSCRIPTION}/providers/{TEMPLATES}"
    operation = arm.action(start, "exportArray", {"format": "csv"}, result=list[dict[str, str]])
    assert operation.wait(timeout=30) == [{"content": "order1,product1,1"}, {"content": "order2,product2,2"}]
    assert passed(spector_url, "Azure_ResourceManager_OperationTemplates_Lro_exportArray")


def test_arm_delete(arm: Any, spector_url: str) -> None:
    """DELETE: Location is polled until it answers 204."""
    operation = arm.delete(f"{GROUP}/{TEMPLATES}/orders/order1")
    assert operation.wait(timeout=30) is None
    assert operation.response.status_code == 204
    assert passed(spector_url, "Azure_ResourceManager_OperationTemplates_Lro_delete")


def test_arm_get(arm: Any, spector_url: str) -> None:
    """A GET that is an operation: Location is polled until it answers with the report."""
    report = arm.run("GET", f"{GROUP}/{TEMPLATES}/costReports/report1", timeout=30)
    assert report["name"] == "report1"
    assert passed(spector_url, "Azure_ResourceManager_OperationTemplates_Lro_getLro")


@pytest.mark.parametrize("body", [None, {"vnetId": "vnet1"}])
def test_arm_paging(arm: Any, spector_url: str, body: Any) -> None:
    """POST whose result is the first page of a list; the next page is a plain GET."""
    name = "postPagingLro" if body is None else "postPagingLroWithBody"
    page = arm.action(f"{GROUP}/{TEMPLATES}/products/default", name, body).wait(timeout=30)
    assert len(page["value"]) == 1
    following = arm.run("GET", page["nextLink"], timeout=30)
    assert len(following["value"]) == 1
    assert passed(spector_url, f"Azure_ResourceManager_OperationTemplates_LroPaging_{name}")


def test_large_header(spector_url: str, arm: Any) -> None:
    """Two headers of 6 KB each are taken, and the URLs in them asked."""
    id = f"{GROUP}/Azure.ResourceManager.LargeHeader/largeHeaders/header1"
    assert arm.action(id, "two6k").wait(timeout=30) == {"succeeded": True}
    assert passed(spector_url, "Azure_ResourceManager_LargeHeader_LargeHeaders_two6k")


def test_no_scenario_is_left_out(spector_url: str, core: Any, arm: Any) -> None:
    """The list that the service keeps, and writes as its coverage, shows every scenario of long-running operations as
    passed."""
    for scenario in (test_create_or_replace, test_delete, test_export, test_rpc):
        scenario(core, spector_url)
    for scenario in (test_arm_create_or_replace, test_arm_export, test_arm_export_array, test_arm_delete, test_arm_get):
        scenario(arm, spector_url)
    for body in (None, {"vnetId": "vnet1"}):
        test_arm_paging(arm, spector_url, body)
    test_large_header(spector_url, arm)
    results = httpx.get(f"{spector_url}/.coverage", timeout=30, verify=False).json()[0]["results"]
    ours = {name: result for name, result in results.items() if "Lro" in name or "LargeHeader" in name}
    assert len(ours) == 12
    assert set(ours.values()) == {"pass"}, ours
