"""docs/configuration.md lists every table and container that the code names, each with its end."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
SECTION = next(part for part in PAGE.split("\n## ") if part.startswith("What is stored, and when it goes\n"))


def listed(kind: str) -> dict[str, list[str]]:
    """The ends of each table, or container, by its name."""
    (text,) = [part for part in SECTION.split("\n\n") if part.startswith(f"| {kind} |")]
    found: dict[str, list[str]] = {}
    for line in text.splitlines()[2:]:
        name, _, end = (cell.strip(" `") for cell in line.strip("|").split("|"))
        found.setdefault(name, []).append(end)
    return found


@pytest.mark.parametrize("kind", ["table", "container"])
def test_everything_stored_is_listed_with_its_end(kind: str) -> None:
    """The names in the code are those of the list, no fewer and no more, and no end is left out."""
    sources = [
        path.read_text(encoding="utf-8")
        for part in ("shared", "library", "actions")
        for path in (ROOT / part).rglob("*.py")
    ]
    named = {name for text in sources for name in re.findall(rf'\.{kind}\("([a-z]+)"\)', text)}
    assert set(listed(kind)) == named
    assert all(end for ends in listed(kind).values() for end in ends)
