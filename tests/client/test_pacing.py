"""How long the client waits: what servers say, and what it does without."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lro_client import Pace, Retries
from lro_client.messages import Headers
from lro_client.pacing import LONGEST, retry_after
from tests.client.scripted import START


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "3"}, 3.0),
        ({"retry-after": " 3 "}, 3.0),
        ({"Retry-After": "2.5"}, 2.5),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": "Thu, 01 Jan 2026 00:00:07 GMT"}, 7.0),
        ({"Retry-After": "Thursday, 01-Jan-26 00:00:07 GMT"}, 7.0),
        ({"Retry-After": "Thu, 01 Jan 2026 02:00:07 +0200"}, 7.0),
        ({"Retry-After": "Wed, 31 Dec 2025 00:00:00 GMT"}, 0.0),
        ({"Retry-After": "99999999"}, LONGEST),
        ({"Retry-After": "Fri, 01 Jan 2027 00:00:00 GMT"}, LONGEST),
        ({"retry-after-ms": "1500", "Retry-After": "3"}, 1.5),
        ({"x-ms-retry-after-ms": "20"}, 0.02),
        ({"retry-after-ms": "soon", "Retry-After": "3"}, 3.0),
        ({"Retry-After": "10, 10"}, 10.0),
        ({"Retry-After": "3,20"}, 20.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "soon, 1_0"}, None),
        ({"Retry-After": "-1"}, None),
        ({"Retry-After": "1_0"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "1e999"}, None),
        ({"Retry-After": "/bar"}, None),
        ({"Retry-After": ""}, None),
        ({"Retry-After": "Thu, 32 Jan 2026 00:00:07 GMT"}, None),
        ({}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    """Integers, floats, dates and milliseconds are read; garbage is as if it were not there; a year is ten minutes."""
    assert retry_after(Headers(headers), START) == seconds


@given(st.text(max_size=60))
def test_no_header_makes_it_stumble(text: str) -> None:
    """Whatever a server writes, the answer is None or a wait of sensible length."""
    seconds = retry_after(Headers({"Retry-After": text}), START)
    assert seconds is None or 0 <= seconds <= LONGEST


@given(st.datetimes(min_value=START.replace(tzinfo=None), max_value=START.replace(year=2030, tzinfo=None)))
def test_dates_round_trip(then: object) -> None:
    """A date N seconds ahead is a wait of N seconds."""
    from datetime import UTC, datetime
    from email.utils import format_datetime

    assert isinstance(then, datetime)
    at = then.replace(tzinfo=UTC, microsecond=0)
    expected = min(LONGEST, (at - START).total_seconds())
    assert retry_after(Headers({"Retry-After": format_datetime(at, usegmt=True)}), START) == expected


def test_pace_grows_to_its_longest() -> None:
    """Without a word from the server the wait grows by half each time, up to the longest."""
    delays = [Pace(first=1, factor=1.5, longest=4, jitter=0).delay(polls, lambda: 0.0) for polls in range(6)]
    assert delays == [1, 1.5, 2.25, 3.375, 4, 4]
    assert Pace().delay(10**9, lambda: 0.5) == Pace().longest


def test_jitter_spreads_both_ways() -> None:
    """A fifth less and a fifth more, so that many clients do not ask together."""
    assert Pace(first=10).delay(0, lambda: 0.0) == pytest.approx(8)
    assert Pace(first=10).delay(0, lambda: 1.0) == pytest.approx(12)
    assert [Retries().delay(n, lambda: 0.5) for n in (1, 2, 3)] == pytest.approx([0.8, 1.6, 3.2])
    assert Retries().delay(1, lambda: 0.0) < 0.8 < Retries().delay(1, lambda: 1.0)


def test_dates_count_from_now() -> None:
    """The same date is a shorter wait later on."""
    headers = Headers({"Retry-After": "Thu, 01 Jan 2026 00:00:07 GMT"})
    assert retry_after(headers, START + timedelta(seconds=5)) == 2
