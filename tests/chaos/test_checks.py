"""The checks of the chaos runs can fail: each broken promise is found, and what is as it should be is not."""

from typing import Any

import httpx
import pytest

from tests.chaos import remains
from tests.chaos.ledger import Accepted, Ledger
from tests.support.witness import Line, check_attempts


def shown(status: str, code: int = 200, **more: Any) -> httpx.Response:
    return httpx.Response(code, json={"status": status, **more}, request=httpx.Request("GET", "http://h/status/a"))


def entered(ledger: Ledger, **more: Any) -> Accepted:
    return ledger.accept(Accepted("POST", "a", "/status/a", **more))


BROKEN: dict[str, tuple[httpx.Response, ...]] = {
    "accepted and lost": (shown("Running"), shown("", 404)),
    "ended and goes on": (shown("Succeeded"), shown("Running")),
    "ended twice": (shown("Succeeded", result=1), shown("Succeeded", result=2)),
    "POST a ended as Failed": (shown("Failed", error={"code": "AttemptLost"}),),
}


@pytest.mark.parametrize("problem", BROKEN)
def test_a_broken_promise_is_found(problem: str) -> None:
    """An operation that is gone, goes on after its end, changes after it, or ends as it must not."""
    ledger = Ledger()
    entry = entered(ledger)
    for answer in BROKEN[problem]:
        ledger.read_end(entry, answer)
    assert [each.startswith(problem) for each in ledger.problems] == [True]


def test_what_was_promised_is_no_problem() -> None:
    """The same end, however often it is read; a 404 of what was deleted; the final answer behind a 202."""
    ledger = Ledger()
    entry = entered(ledger)
    assert [ledger.read_end(entry, shown(each)) for each in ("Running", "Succeeded", "Succeeded")] == [
        False,
        True,
        True,
    ]
    assert ledger.read_end(entered(ledger, is_deleted=True), shown("", 404))
    other = entered(ledger, monitor="answer")
    assert [ledger.read_end(other, shown("", code)) for code in (202, 200, 200)] == [False, True, True]
    assert ledger.read_end(entered(ledger, may_be_lost=True), shown("Failed", error={"code": "AttemptLost"}))
    assert ledger.problems == []


@pytest.mark.parametrize(
    ("code", "headers", "problems"),
    [
        (500, {}, 1),
        (502, {}, 1),
        (503, {}, 1),
        (503, {"retry-after": "1"}, 0),
        (409, {"x-ms-error-code": "OperationIdInUse"}, 1),
        (409, {"x-ms-error-code": "OperationInProgress"}, 0),
        (404, {}, 0),
    ],
)
def test_answers_are_ours(code: int, headers: dict[str, str], problems: int) -> None:
    """While storage fails there is 503 with Retry-After and nothing else of the kind; a start is never another one."""
    ledger = Ledger()
    ledger.saw(httpx.Response(code, headers=headers, request=httpx.Request("GET", "http://h/")))
    assert (len(ledger.problems), ledger.answers) == (problems, {code: 1})


def test_what_remains_is_found() -> None:
    """Rows of the app itself may stay; a record, a blob, a file and a row of the task hub may not."""
    found = {
        "operations": frozenset({"app/site", "app/schema", "3/o!x!y"}),
        "blobs: uploads": frozenset({"a"}),
        "files": frozenset({"blobs/x"}),
        "hub: Instances": frozenset({"i/"}),
    }
    assert remains.unexpected(found) == {
        "operations": ["3/o!x!y"],
        "blobs: uploads": ["a"],
        "files": ["blobs/x"],
        "hub: Instances": ["i/"],
    }
    assert remains.unexpected({"operations": frozenset({"app/site", "app/schema"})}) == {}


def line(word: str, attempt: int, pid: int, at: float) -> Line:
    return Line("a", attempt, word, pid, at)


KILLED = {1: 10.0}
GOOD = {
    "one attempt": [line("began", 1, 1, 0), line("ended", 1, 1, 1)],
    "killed before its end": [line("began", 1, 1, 5), line("began", 2, 2, 11), line("ended", 2, 2, 12)],
    "killed before it was stored": [
        *(line("began", 1, 1, 5), line("ended", 1, 1, 9)),
        *(line("began", 2, 2, 11), line("ended", 2, 2, 12)),
    ],
}
BAD = {
    "never ended": [line("began", 1, 1, 0)],
    "two at a time": [line("began", 1, 2, 0), line("began", 2, 2, 1), line("ended", 2, 2, 2)],
    "begun before the other was killed": [line("began", 1, 1, 5), line("began", 2, 2, 9), line("ended", 2, 2, 12)],
    "ended twice": [line("began", 1, 2, 0), line("ended", 1, 2, 1), line("began", 2, 2, 2), line("ended", 2, 2, 3)],
    "the same attempt twice": [line("began", 1, 1, 5), line("began", 1, 2, 11), line("ended", 1, 2, 12)],
}


@pytest.mark.parametrize("lines", GOOD.values(), ids=GOOD)
def test_attempts_one_after_the_other(lines: list[Line]) -> None:
    """A kill explains an attempt without an end, and one whose end was not stored in time."""
    check_attempts(lines, ["a"], KILLED)


@pytest.mark.parametrize("lines", BAD.values(), ids=BAD)
def test_attempts_that_overlap_or_repeat(lines: list[Line]) -> None:
    """What no kill explains is found."""
    with pytest.raises(AssertionError):
        check_attempts(lines, ["a"], KILLED)
