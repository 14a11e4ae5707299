"""Apps side by side on one storage account: with task hubs of their own, and one that was given another's namespace."""

from pathlib import Path

import pytest

from tests.support.host import TEST_APP, LocalHost, emulator, timed
from tests.support.lro import begin, ended, listing, monitor, until
from tests.support.scenarios import Outcomes, Scenario, connected, on

pytestmark = pytest.mark.timeout(300)

LEASES = timed(lease=2, heartbeat=0.5, housekeeping_patience=2)
"""Shorter than what the scenario waits for after a host has died."""

UNHEALTHY = (503, ["NamespaceTaken"])
REFUSED_ONCE = {"FAIL_STARTS": "1"}
"""The engine does not take the first start, so housekeeping has to make it again: a sign that a pass has been."""


def three_apps_on_one_account(folder: Path, store: str) -> None:
    """An app dies: nobody else runs its work, though one is on the same account and one even on the same tables.

    The latter does no housekeeping, not even for what it has started itself, and says why. Once the app is back, all
    goes on.
    """
    with emulator() as (_, connection):

        def app(hub: str, **settings: str) -> LocalHost:
            environment = {**LEASES, "AzureWebJobsStorage": connection, "TASK_HUB_NAME": hub, **settings}
            return LocalHost(folder / hub, store=store, app_root=TEST_APP, environment=environment)

        first = app("HubOne")
        second = app("HubTwo", **REFUSED_ONCE)
        third = app("HubThree", OPERATIONS_NAMESPACE="HubOne", WEBSITE_SITE_NAME="another", **REFUSED_ONCE)
        with first, connected(first) as client:
            marker = folder / "marker"
            survivor = begin(client, "/trial/t1:survive", {"marker": str(marker)})["id"]
            until(client, survivor, lambda _: marker.exists())
            first.kill()
        with second, third, connected(second) as apart, connected(third) as intruder:
            stuck = begin(intruder, "/trial/t2:nothing")["id"]
            assert ended(apart, begin(apart, "/trial/t3:nothing")["id"])["status"] == "Succeeded"
            assert apart.get(f"/status/{survivor}").status_code == 404
            assert [item["kind"] for item in listing(apart)] == ["trial:nothing"]
            assert monitor(intruder, stuck)["status"] == "NotStarted"
            state = monitor(intruder, survivor)
            assert (state["status"], state["attempt"]) == ("Running", 1)
            for word in ("'local'", "'HubOne'", "'another'", "'HubThree'", "OPERATIONS_NAMESPACE"):
                assert word in third.log
            assert "namespace_taken" not in second.log
            assert apart.get("/health").json() == {"status": "Healthy"}
            assert (intruder.get("/health").status_code, intruder.get("/health").json()["problems"]) == UNHEALTHY
            with first, connected(first) as client:
                assert ended(client, survivor, within=120)["attempt"] == 2
                assert ended(client, stuck)["status"] == "Succeeded"


@pytest.mark.parametrize("scenario", on(three_apps_on_one_account, "azurite"))
def test_apps_side_by_side(outcomes: Outcomes, scenario: Scenario) -> None:
    """What the scenario's own docstring says."""
    outcomes[scenario].result()
