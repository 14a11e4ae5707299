"""Which site has a namespace: the rule alone."""

from datetime import timedelta

import pytest

from shared.model.timing import Timing
from shared.operations.site import SiteName, Standing, standing
from tests.support.clock import T0

OWN = SiteName("app", "Production", "Hub")
MOMENT = timedelta(microseconds=1)
RENEWAL, EXPIRY = timedelta(minutes=10), timedelta(hours=1)


@pytest.mark.parametrize(
    ("found", "age", "expected"),
    [
        (None, timedelta(0), Standing.FREE),
        (OWN, timedelta(0), Standing.OURS),
        (OWN, RENEWAL - MOMENT, Standing.OURS),
        (OWN, RENEWAL, Standing.DUE),
        (OWN, EXPIRY, Standing.DUE),
        (OWN, -MOMENT, Standing.OURS),
        (OWN, -EXPIRY, Standing.DUE),
        (SiteName("APP", "production", "hub"), timedelta(0), Standing.OURS),
        (SiteName("other", "Production", "Hub"), timedelta(0), Standing.TAKEN),
        (SiteName("app", "staging", "Hub"), timedelta(0), Standing.TAKEN),
        (SiteName("app", "Production", "Hub2"), timedelta(0), Standing.TAKEN),
        (SiteName("app", "staging", "Hub"), -RENEWAL, Standing.TAKEN),
        (SiteName("app", "staging", "Hub"), EXPIRY - MOMENT, Standing.TAKEN),
        (SiteName("app", "staging", "Hub"), EXPIRY, Standing.LEFT),
    ],
    ids=str,
)
def test_standing(found: SiteName | None, age: timedelta, expected: Standing) -> None:
    """App, slot and hub make a site, in any case. Another one's row counts for an hour; ours is due in ten minutes."""
    assert standing(OWN, found, T0 - age, T0, Timing()) is expected
