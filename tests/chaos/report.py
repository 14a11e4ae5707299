"""The figures of a run, and how they are shown: to who has started it, as JSON, and in docs/reliability.md."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reliability.md"
KEPT = ROOT / "docs" / "reliability.json"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"

TITLES = {
    "sqlite": "SQLite",
    "azurite": "Azurite",
    "faults": "Azurite, faulty",
    "engine": "Durable extension",
}


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What one run on one store came to."""

    seconds: int
    """All of it: load, checks and removal."""
    kills: int
    accepted: Mapping[str, int]
    """Starts that were answered by 2xx, by kind."""
    unanswered: int
    """Starts without an id of the caller's whose answer got lost."""
    repeated: int
    """Starts that were sent again under the id of their operation."""
    ended: Mapping[str, int]
    """Accepted operations by their last status."""
    run_again: int
    """Operations whose handler began more than once: retries, losses."""
    last_end: float
    """Seconds from the end of the load to the end of the last operation that a client watches."""
    answers: Mapping[str, int]
    """Answers of the app, by status code."""
    storage_requests: int = 0
    """Those that went through the faults."""
    faults: Mapping[str, int] = field(default_factory=dict[str, int])
    """Injected, by kind."""
    remains: Mapping[str, int] = field(default_factory=dict[str, int])
    """Rows, blobs and files at the end, by table."""
    problems: list[str] = field(default_factory=list[str])
    """Everything that should not have been."""


def save(path: Path, figures: Mapping[str, Figures]) -> None:
    """Write a report; stores that it has and that were not run now stay in it."""
    before = load(path) if path.exists() else {}
    both = {name: asdict(each) for name, each in {**before, **figures}.items()}
    path.write_text(json.dumps(both, indent=2) + "\n", encoding="utf-8")


def load(path: Path) -> dict[str, Figures]:
    return {name: Figures(**each) for name, each in json.loads(path.read_text(encoding="utf-8")).items()}


def tables(figures: Mapping[str, Figures]) -> str:
    """The tables of the page, from a report: what happened, what was started, and the faults."""
    runs = {TITLES[name]: figures[name] for name in TITLES if name in figures}
    parts = [_table(("", *runs), [(title, *values) for title, values in _rows(runs)])]
    kinds = [(kind, *(each.accepted.get(kind, 0) for each in runs.values())) for kind in _kinds(runs)]
    parts.append(_table(("accepted starts", *runs), kinds))
    faults = [(fault, count) for each in runs.values() for fault, count in sorted(each.faults.items())]
    if faults:
        parts.append(_table(("fault of the storage", "injected"), faults))
    return "\n\n".join(parts)


def written(page: str, figures: Mapping[str, Figures]) -> str:
    """The page with these figures between its marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{tables(figures)}\n\n{END}{after}"


def _rows(runs: Mapping[str, Figures]) -> list[tuple[str, list[object]]]:
    each = list(runs.values())
    return [
        ("seconds", [f.seconds for f in each]),
        ("`kill -9`", [f.kills for f in each]),
        ("requests answered", [sum(f.answers.values()) for f in each]),
        ("of them 503", [f.answers.get("503", 0) for f in each]),
        ("storage requests through the proxy", [f.storage_requests for f in each]),
        ("faults injected", [sum(f.faults.values()) for f in each]),
        ("operations accepted", [sum(f.accepted.values()) for f in each]),
        ("starts without an answer", [f.unanswered for f in each]),
        ("starts repeated by their id", [f.repeated for f in each]),
        ("operations whose handler began again", [f.run_again for f in each]),
        ("seconds to the last end", [f.last_end for f in each]),
        ("**broken promises**", [len(f.problems) for f in each]),
    ]


def _kinds(runs: Mapping[str, Figures]) -> list[str]:
    return list(dict.fromkeys(kind for each in runs.values() for kind in sorted(each.accepted)))


def _table(head: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    return "\n".join([_line(head), f"|{'---|' * len(head)}", *(_line(row) for row in rows)])


def _line(cells: Sequence[object]) -> str:
    return f"| {' | '.join(str(cell) for cell in cells)} |"
