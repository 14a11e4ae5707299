"""The Prefer header (RFC 7240): what is understood of it, and that nothing in it is an error."""

import time

import pytest

from shared.contracts.http import Request
from shared.contracts.preferences import applied, preferences, wait_seconds


def request(prefer: str | None) -> Request:
    headers = {} if prefer is None else {"prefer": prefer}
    return Request(method="POST", url="http://h/x", headers=headers)


@pytest.mark.parametrize(
    ("prefer", "found"),
    [
        (None, {}),
        ("", {}),
        ("wait=5", {"wait": "5"}),
        ("Respond-Async, WAIT=10", {"respond-async": "", "wait": "10"}),
        ("wait = 5", {"wait": "5"}),
        ('wait="5"', {"wait": "5"}),
        ("wait=5; foo=bar;baz", {"wait": "5"}),
        ('callback; url="https://x/a,b", wait=3', {"callback": "", "wait": "3"}),
        ('note="a\\"b, wait=9", wait=3', {"note": 'a"b, wait=9', "wait": "3"}),
        ('foo="", bar=', {"foo": ""}),
        (",, wait=5 ,", {"wait": "5"}),
        ("wait=5, wait=9", {"wait": "5"}),
        ("wait=x, wait=9", {"wait": "x"}),
        ("wait 5, =3, b=4", {"b": "4"}),
        ('a="open, b=1', {"b": "1"}),
    ],
)
def test_what_is_understood(prefer: str | None, found: dict[str, str]) -> None:
    """Names without case, the first of one name, values quoted or not; what is no preference is passed over."""
    assert preferences(request(prefer)) == found


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        ("wait=5", 5),
        ("respond-async, wait=5", 5),
        ("wait=0", 0),
        ("wait=21", 20),
        ("wait=" + "9" * 400, 20),
        ("wait=soon", 0),
        ("wait=-1", 0),
        ("wait=1.5", 0),
        ("wait=٣", 0),
        ("wait", 0),
        ("wait=x, wait=5", 0),
        (None, 0),
    ],
)
def test_wait(prefer: str | None, seconds: int) -> None:
    """Whole seconds up to the limit (section 4.3); anything else does not wait."""
    assert wait_seconds(request(prefer), limit=20) == seconds


def test_applied() -> None:
    """Preference-Applied says what was waited at most, and is absent where nothing was honoured (section 3)."""
    assert applied(5) == {"Preference-Applied": "wait=5"}
    assert applied(0) == {}


@pytest.mark.parametrize("garbage", ['"', '"\\', "a=", ";", "a;", " ", 'a="', ","])
def test_garbage_costs_nothing(garbage: str) -> None:
    """A header made to be slow to read is not."""
    began = time.thread_time()
    preferences(request(garbage * 50_000 + ", wait=5"))
    assert time.thread_time() - began < 1
