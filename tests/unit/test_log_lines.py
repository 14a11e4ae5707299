"""Lines about an operation: what they say, and that all of them say it."""

import ast
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_host.console import WithFields
from shared.model.operation import Status
from shared.operations.log_lines import about
from tests.support.parts import make_operation
from tests.support.sources import syntax_tree

ROOT = Path(__file__).parents[2]
LEVELS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
NOT_ABOUT_AN_OPERATION = {
    "A check of the app's health failed",
    "Active operations: %d NotStarted, %d Running, %d Canceling, %d young; the oldest NotStarted is %d s old%s",
    "Paused: %s (%s)",
    "Resumed: %s (%s)",
    "An operator lists operations of %s (%s)",
    "Health: %s",
    "Housekeeping did not reach storage: %s",
    "Housekeeping: %s",
    "A row of the table of operations cannot be read and is passed over: %r (%s)",
    "A row of the table of locks, or its holder, cannot be read and is passed over: %r (%s)",
    "Not all that is active was looked at in this pass",
    "The sweep %s goes on with the next pass: %r",
    "Not all that has expired was removed in this pass",
    "Some attempts keep their lease: they have not let go",
    "Storage did not answer: %s",
    "Storage refused a write",
    "A request failed unexpectedly",
    "The app is declared wrongly: %s",
    "The clock was set by %+.0f s",
    "The app is not configured: %s",
    "The host runs %d activities at a time, and the settings ask for %d: set AzureFunctionsJobHost__%s=%d",
    "The event loop was held up for %.1f s (%.1f s of CPU) while these ran: %s. "
    "Move blocking work into a `def` handler.",
    "The store held up the event loop, the last time for %.0f ms; from now on threads make its calls",
    "The instance is stopping; attempts are given back",
    "The store cannot be reached yet: %s",
    "Namespace taken: %s",
    "Took the namespace %r over from %s, not seen since %s: this is %s",
}
"""What is logged of the instance, of a request, or of storage. Every other line is one about an operation."""

_log = logging.getLogger("tests.lines")


def test_a_line(caplog: pytest.LogCaptureFixture) -> None:
    """The operation stands before the text and in the fields, whatever the text has in it."""
    caplog.set_level(logging.INFO)
    operation = make_operation(attempt=2, status=Status.RUNNING)
    about(_log, operation, "it_happened").info("100% of %s", extra={"mine": 1})
    about(_log, operation, "it_happened").info("%d%%", 100)
    about(_log, operation, "it_happened").info("%(a)s", {"a": 1})
    texts = [record.getMessage() for record in caplog.records]
    assert texts == [f"operation_id=op-1 action=test:work attempt=2: {end}" for end in ("100% of %s", "100%", "1")]
    expected = {"operation_id": "op-1", "action": "test:work", "attempt": 2, "status": "Running"}
    expected |= {"event": "it_happened", "mine": 1}
    assert {name: caplog.records[0].__dict__.get(name) for name in expected} == expected


def test_a_line_of_any_kind(caplog: pytest.LogCaptureFixture) -> None:
    """The kind of a delegated operation neither makes another line nor a place for an argument."""
    about(_log, make_operation(action="a b\n%s=é"), "x").warning("%s", 1)
    assert caplog.records[0].getMessage() == "operation_id=op-1 action=a_b__s_é attempt=0: 1"
    assert caplog.records[0].__dict__["action"] == "a b\n%s=é"


def test_a_line_without_a_record(caplog: pytest.LogCaptureFixture) -> None:
    """Of an operation whose record is not at hand its id is known."""
    about(_log, make_operation().locator, "x").warning("gone")
    assert caplog.records[0].getMessage() == "operation_id=op-1: gone"


def test_the_local_host_says_it_once(caplog: pytest.LogCaptureFixture) -> None:
    """It prints fields behind the line, those of the text not again; a trace follows on lines of its own."""
    try:
        raise ValueError("no")
    except ValueError:
        about(_log, make_operation(), "it_happened").exception("Oh", extra={"mine": 1})
    line, *trace = WithFields("%(message)s").format(caplog.records[0]).splitlines()
    about_it = "operation_id=op-1 action=test:work attempt=0"
    assert line == f"{about_it}: Oh [event=it_happened status=NotStarted mine=1]"
    assert (trace[0], trace[-1]) == ("Traceback (most recent call last):", "ValueError: no")


def plain_lines(tree: ast.Module) -> Iterator[str]:
    """The texts that go to a module's logger itself: by a call of its methods, or by `partial` over one."""
    texts = {
        node.targets[0].id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called, arguments = node.func, node.args
        if ast.unparse(called) == "partial" and arguments:
            called, arguments = arguments[0], arguments[1:]
        if isinstance(called, ast.Attribute) and called.attr in LEVELS and ast.unparse(called.value).endswith("_log"):
            text = arguments[1 if called.attr == "log" else 0]
            text = texts.get(text.id, text) if isinstance(text, ast.Name) else text
            yield text.value if isinstance(text, ast.Constant) else ast.unparse(text)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("_log.info('a', 1)", ["a"]),
        ("self._log.log(logging.INFO if x else logging.DEBUG, 'a')", ["a"]),
        ("say(partial(_log.warning, 'a', extra={}))", ["a"]),
        ("text = 'a'\n_log.warning(text)", ["a"]),
        ("_log.error(f'{a}')", ["f'{a}'"]),
        ("about(_log, operation, 'x').info('a')\nline = about(_log, o, 'x')\nline.error('b')", []),
    ],
)
def test_plain_lines_are_found(source: str, found: list[str]) -> None:
    """The rule below sees every way to a module's logger."""
    assert list(plain_lines(syntax_tree(source))) == found


def test_every_line_says_its_operation() -> None:
    """A line goes through `about`, or is listed here as one that is about no operation."""
    files = [path for part in ("shared", "blueprints") for path in (ROOT / part).rglob("*.py")]
    trees = [syntax_tree(path.read_text(encoding="utf-8")) for path in files]
    assert {text for tree in trees for text in plain_lines(tree)} == NOT_ABOUT_AN_OPERATION
