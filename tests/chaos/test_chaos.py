"""The short form of `make chaos`: a few kills on each store, and storage that fails, under load of every kind.

The runs mostly wait, so they go on side by side. Kills on the Durable extension are in `tests/engine`.
"""

from pathlib import Path

import pytest

from tests.chaos.journeys import KINDS
from tests.chaos.run import Plan, run
from tests.support.faulty_proxy import Fault
from tests.support.scenarios import Outcomes, Scenario, on

pytestmark = [
    pytest.mark.timeout(300),
    # The proxy of the faults leaves connections to hosts that were killed.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

SEED = "short"
SECONDS = 10
KILLS = 2
"""In the load; one more comes after it."""


def promises_are_kept_over_kills(folder: Path, store: str) -> None:
    """kill -9 with operations of every kind in flight: what was accepted ends once, and nothing is locked or left."""
    figures = run(Plan(store=store, seed=SEED, seconds=SECONDS, rounds=KILLS), folder)
    assert not figures.problems, "\n".join(figures.problems)
    assert figures.kills == KILLS + 1
    assert sum(figures.accepted.values()) > len(KINDS)
    assert figures.run_again > 0


def promises_are_kept_over_faults(folder: Path, store: str) -> None:
    """Five percent of the storage requests fail, in every way there is: the same, and every kind was accepted."""
    figures = run(Plan(store=store, seed=SEED, seconds=SECONDS), folder)
    assert not figures.problems, "\n".join(figures.problems)
    assert figures.faults.keys() == {str(fault) for fault in Fault}
    assert figures.accepted.keys() == KINDS.keys()


@pytest.mark.parametrize(
    "scenario",
    [*on(promises_are_kept_over_kills, "sqlite", "azurite"), *on(promises_are_kept_over_faults, "faults")],
)
def test_chaos(outcomes: Outcomes, scenario: Scenario) -> None:
    """What the scenario's own docstring says."""
    outcomes[scenario].result()
