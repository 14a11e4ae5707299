"""Reading code blocks out of Markdown, and comparing a transcript with what happened."""

import re
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    language: str
    text: str
    line: int


@dataclass(frozen=True)
class Step:
    """A command of a console block, and the output the document shows for it."""

    command: str
    shown: str
    line: int


def blocks(document: Path) -> list[Block]:
    text = document.read_text(encoding="utf-8")
    return [Block(m[1], m[2], text.count("\n", 0, m.start()) + 2) for m in _BLOCK.finditer(text)]


def steps(block: Block) -> list[Step]:
    """`$ ` starts a command; the lines until the next one are its output."""
    found: list[Step] = []
    for number, line in enumerate(block.text.splitlines(), start=block.line):
        if line.startswith("$ "):
            found.append(Step(line[2:], "", number))
        elif found and line:
            last = found[-1]
            found[-1] = Step(last.command, last.shown + line + "\n", last.line)
    return found


def fits(shown: str, happened: str) -> bool:
    """Whether the output is what the document shows; `...` stands for anything, also over lines."""
    pattern = ".*".join(re.escape(part) for part in shown.strip().split("..."))
    return re.fullmatch(pattern, happened.replace("\r", "").strip(), re.DOTALL) is not None


def anchors(document: Path) -> set[str]:
    """The titles of a page as GitHub writes them in URLs."""
    titles = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
