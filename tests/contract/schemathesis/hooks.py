"""A check of our own for schemathesis, and the requests that no app gets to see."""

from typing import Any
from urllib.parse import quote

import schemathesis

LONGEST_QUERY = 4000
"""Servers refuse longer request lines themselves (8 KB in all), before the app."""


@schemathesis.hook
def filter_case(context: Any, case: Any) -> bool:
    return len(quote(str(case.query))) < LONGEST_QUERY


@schemathesis.check
def status_is_listed(context: Any, response: Any, case: Any) -> None:
    """The status is declared by itself: `default` is for what actions of one's own refuse."""
    listed = case.operation.definition.raw["responses"]
    if case.method.upper() == case.operation.method.upper():
        assert str(response.status_code) in listed, f"{response.status_code} is not among {', '.join(listed)}"
