"""Microsoft's own scenarios for Azure clients and services, npm `@azure-tools/azure-http-specs`, run by `tsp-spector`.

`knock` plays the client: it sends each scenario's requests in order, without waiting, and compares status, headers and
whole bodies. The app is `tests/conformance_app`: the product's declarations, engine and monitors behind functions that
put in what the fixtures fix.
"""

import os
import re
import subprocess
import time

import httpx
import pytest

from local_host.azurite import find_node
from tests.support.host import ROOT, Hosts, LocalHost

APP = ROOT / "tests" / "conformance_app"
MODULES = ROOT / ".build" / "conformance" / "node_modules"
SPECS = MODULES / "@azure-tools" / "azure-http-specs" / "specs"
CLI = MODULES / "@typespec" / "spector" / "cmd" / "cli.mjs"
ARM = "azure/resourcemanager/operationtemplates/lro"
SCENARIOS = {
    "azure/core/lro/**": {
        "Azure_Core_Lro_Standard_createOrReplace": 4,
        "Azure_Core_Lro_Standard_delete": 3,
        "Azure_Core_Lro_Standard_export": 3,
        "Azure_Core_Lro_Rpc_longRunningRpc": 3,
    },
    f"{ARM}/{{createOrReplace,delete,getLro}}": {
        "Azure_ResourceManager_OperationTemplates_Lro_createOrReplace": 3,
        "Azure_ResourceManager_OperationTemplates_Lro_delete": 2,
        "Azure_ResourceManager_OperationTemplates_Lro_getLro": 1,
    },
}
"""Scenarios by filter, and how many requests each has. The other ARM ones fail against Microsoft's own mock."""

GROUP = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/test-rg/providers"
PROVIDER = f"{GROUP}/Azure.ResourceManager.OperationTemplates"
VERSION = {"api-version": "2023-12-01-preview"}


@pytest.fixture(scope="module")
def host(hosts: Hosts) -> LocalHost:
    if not CLI.exists():
        if os.environ.get("CI"):
            pytest.fail("azure-http-specs is not installed; `make test` installs it")
        pytest.skip("azure-http-specs is not installed; `make conformance` installs it")
    return hosts.shared("conformance", app_root=APP)


def knock(host: LocalHost, scenarios: str) -> subprocess.CompletedProcess[str]:
    line = [find_node(), str(CLI), "knock", str(SPECS), "--baseUrl", host.url, "--filter", scenarios]
    return subprocess.run(
        line, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False, env={**os.environ, "NO_COLOR": "1"}
    )


def passed(output: str) -> dict[str, int]:
    """Requests that were answered as the fixtures have it, by scenario; the closing line counts failures, too."""
    names = re.findall(r"✓ Scenario: (\w+)", output)
    return {name: names.count(name) for name in names}


@pytest.mark.parametrize("scenarios", SCENARIOS)
def test_scenarios(host: LocalHost, scenarios: str) -> None:
    """Every request of every scenario passes, and again when all are run once more.

    But for getLro: its fixture is a report that is not made yet, and a GET that is repeated is a poll, in Microsoft's
    mock as well.
    """
    again = scenarios.replace(",getLro", "")
    for each in (scenarios, again):
        done = knock(host, each)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "✘" not in done.stdout
        expected = SCENARIOS[scenarios]
        assert passed(done.stdout) == {
            name: count for name, count in expected.items() if each == scenarios or not name.endswith("getLro")
        }


def test_it_can_fail(host: LocalHost) -> None:
    """A scenario that the app does not have fails, and is counted so."""
    done = knock(host, f"{ARM}/export")
    assert done.returncode == 1
    assert "✘ Scenario: Azure_ResourceManager_OperationTemplates_Lro_export" in done.stdout


def test_beyond_the_scenarios(host: LocalHost) -> None:
    """What knock leaves off goes on to the end: the report's GET turns 200, the order's deletion 204."""
    with httpx.Client(base_url=host.url, timeout=30, params=VERSION) as client:
        first = client.get(f"{PROVIDER}/costReports/report2")
        assert (first.status_code, first.content) == (202, b"")
        assert first.headers["location"] == f"{host.url}{PROVIDER}/costReports/report2"
        assert int(first.headers["retry-after"]) >= 1
        report = client.get(first.headers["location"])
        assert (report.status_code, report.json()["properties"]["provisioningState"]) == (200, "Succeeded")

        deleted = client.delete(f"{PROVIDER}/orders/order2")
        assert deleted.status_code == 202
        assert client.get(deleted.headers["location"]).status_code == 202
        deadline = time.monotonic() + 90
        while (end := client.get(deleted.headers["location"])).status_code == 202:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert end.status_code == 204
        assert client.get(f"{PROVIDER}/orders/order2").status_code == 404


def test_no_switch_in_the_product() -> None:
    """Nothing of the product knows of the scenarios: no word of theirs, no id, no setting."""
    for folder in ("shared", "blueprints", "local_host"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"(?<!Operation)InProgress\b|operation1|conformance|http-specs|spector", text), path
