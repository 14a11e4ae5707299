"""Pages that readers begin with are easy to read: no clause starts with "what", short sentences, words explained."""

import re
from collections.abc import Iterator

import pytest

from tests.support.host import ROOT

PAGES = ("README.md", *(f"docs/{name}.md" for name in (
    "actions", "lifecycle", "external", "description", "odata", "client", "protocol", "operations", "scaling",
)))  # fmt: skip
LONGEST = 40
"""Words of a sentence."""

WORDS = {"LRO": "LRO", "data plane": "data[ -]plane", "monitor": "monitor", "poller": "poller"}
"""Explained where a page has them first: in brackets behind them, or bold with the explanation around."""


def prose(text: str) -> str:
    """A page without its code, its diagrams and the targets of its links."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"\]\([^)]*\)", "]", re.sub(r"`[^`\n]*`", "x", text))


def what_clauses(text: str) -> list[str]:
    """Lines with the word."""
    return [line for line in prose(text).splitlines() if re.search(r"\bwhat\b", line, re.IGNORECASE)]


def sentences(text: str) -> Iterator[str]:
    """Of paragraphs and lists; a table has none."""
    lines = [line for line in prose(text).splitlines() if not line.startswith(("|", "#"))]
    text = re.sub(r"\n\s*(?:[-*]|\d+\.) ", "\n\n", "\n".join(lines))
    for paragraph in re.split(r"\n\s*\n", text):
        yield from re.split(r"(?<=[.:?!])\**\s+", " ".join(paragraph.split()))


def unexplained(text: str) -> list[str]:
    """The words that are not explained where they come first."""
    found: list[str] = []
    text = prose(text)
    for word, pattern in WORDS.items():
        # Not a part of a name, such as a file's.
        first = re.search(rf"(?<![\w./-]){pattern}s?(?!\w)", text)
        if first and not text[: first.start()].endswith(("**", "(")) and not re.match(r"\s*\(", text[first.end() :]):
            found.append(word)
    return found


@pytest.mark.parametrize("page", PAGES)
def test_no_clause_starts_with_what(page: str) -> None:
    """A noun says more: "the leftovers of a crash", not "what a crash has left"."""
    assert what_clauses((ROOT / page).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("page", PAGES)
def test_sentences_are_short(page: str) -> None:
    """Two short ones are read faster than a long one."""
    found = sentences((ROOT / page).read_text(encoding="utf-8"))
    assert [each for each in found if len(each.split()) > LONGEST] == []


@pytest.mark.parametrize("page", PAGES)
def test_words_of_the_field_are_explained(page: str) -> None:
    """At their first use on the page, in brackets."""
    assert unexplained((ROOT / page).read_text(encoding="utf-8")) == []


def test_the_rules_can_fail() -> None:
    """Each finds its kind, and nothing in code."""
    text = "It does what it can.\n\n```sh\nwhat\n```\n\n" + "word " * (LONGEST + 1) + "\n\nA monitor shows it."
    assert what_clauses(text) == ["It does what it can."]
    assert [len(each.split()) for each in sentences(text)] == [5, LONGEST + 1, 4]
    assert unexplained(text) == ["monitor"]
    assert unexplained("A monitor (a URL) shows it, and the **poller** asks.") == []
