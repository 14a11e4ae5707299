"""`tests.support.checks`: parts side by side, and the second chance of what failed."""

import shlex
import sys

import pytest

from tests.support.checks import main


def part(name: str, code: int) -> str:
    return f"{name}={shlex.join([sys.executable, '-c', f'raise SystemExit({code})'])}"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ([part("tests", 0), part("alone+", 0), part("again?", 1)], 0),
        ([part("tests", 0), part("alone+", 5), part("again?", 1)], 0),
        ([part("tests", 5)], 1),
        ([part("tests", 1), part("alone+", 0)], 1),
        ([part("tests", 1), part("alone+", 0), part("again?", 0)], 0),
        ([part("tests", 0), part("alone+", 1), part("again?", 0)], 0),
        ([part("tests", 1), part("alone+", 0), part("again?", 1)], 1),
        ([part("tests", 3), part("alone+", 0), part("again?", 5)], 1),
        ([part("tests", 1), part("again?", 0), part("lint", 1)], 1),
    ],
)
def test_exit_code(given: list[str], code: int) -> None:
    """A part that fails fails the whole, but where its second chance passes; one that runs no test is none."""
    assert main(given) == code


def test_what_passed_alone_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """A second chance that was needed does not look like a pass."""
    main([part("tests", 1), part("again?", 0)])
    assert "mend it" in capsys.readouterr().out
    main([part("tests", 0), part("again?", 0)])
    assert "not needed" in capsys.readouterr().out
