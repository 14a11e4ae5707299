"""Checks of our own for schemathesis, and the requests that no app gets to see."""

from typing import Any
from urllib.parse import quote

import schemathesis

LONGEST_QUERY = 4000
"""Servers refuse longer request lines themselves (8 KB in all), before the app."""

OF_ALL_ANSWERS = frozenset(
    {"connection", "content-encoding", "content-length", "content-type", "date", "server", "transfer-encoding"}
)
"""HTTP's own, which a description leaves out."""


@schemathesis.hook
def filter_case(context: Any, case: Any) -> bool:
    # Without a value it is taken for a header that is not there, which its list of values cannot say.
    no_version = dict(case.headers or {}).get("OData-MaxVersion") == ""
    return len(quote(str(case.query))) < LONGEST_QUERY and not no_version


@schemathesis.check
def status_is_listed(context: Any, response: Any, case: Any) -> None:
    """The status is declared by itself: `default` is for what actions of one's own refuse."""
    listed = case.operation.definition.raw["responses"]
    if case.method.upper() == case.operation.method.upper():
        assert str(response.status_code) in listed, f"{response.status_code} is not among {', '.join(listed)}"


@schemathesis.check
def headers_are_listed(context: Any, response: Any, case: Any) -> None:
    """Every header that is sent is declared, not only every declared one sent."""
    if case.method.upper() != case.operation.method.upper():
        return
    declared = case.operation.responses.find_by_status_code(response.status_code)
    known = {name.lower() for name, _ in declared.headers.items()} if declared is not None else set[str]()
    more = {name.lower() for name in response.headers} - known - OF_ALL_ANSWERS
    assert not more, f"{response.status_code} has headers that are not declared: {', '.join(sorted(more))}"
