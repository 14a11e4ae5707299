"""The figures of a run: as tables, as JSON, and in docs/performance.md."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.marks import MARKS, Samples, summary, verdict

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "performance.md"
KEPT = ROOT / "docs" / "performance.json"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"


@dataclass(frozen=True, slots=True)
class Report:
    """Samples by mark, and those of each system by what was measured of it."""

    marks: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    systems: dict[str, dict[str, list[float]]] = field(default_factory=dict[str, dict[str, list[float]]])
    machine: str = ""

    def add(self, samples: Samples) -> None:
        self.marks.update({key: list(values) for key, values in samples.items()})


def this_machine() -> str:
    return f"{os.cpu_count()} cores, {platform.system()} {platform.release()}, Python {platform.python_version()}"


def save(path: Path, report: Report) -> None:
    """Write it; of a report that is there already, what this one has not stays."""
    if path.exists():
        before = load(path)
        report = Report(before.marks | report.marks, before.systems | report.systems, report.machine)
    rounded = json.loads(json.dumps(asdict(report)), parse_float=lambda text: round(float(text), 4))
    path.write_text(json.dumps(rounded, indent=1) + "\n", encoding="utf-8")


def load(path: Path) -> Report:
    return Report(**json.loads(path.read_text(encoding="utf-8")))


def tables(report: Report) -> str:
    """One line for each mark, and one for each system."""
    rows: list[Sequence[object]] = []
    for key, mark in MARKS.items():
        values = report.marks.get(key)
        found = (summary(values), verdict(mark, values)) if values else ("-", "not run")
        rows.append((mark.number, mark.measure, mark.goal_text, *found))
    rows.sort(key=lambda row: int(str(row[0])))
    parts = [f"On {report.machine}." if report.machine else ""]
    parts.append(_table(("mark", "measure", "goal", "median (least to most)", "verdict"), rows))
    if report.systems:
        columns = list(dict.fromkeys(name for each in report.systems.values() for name in each))
        parts.append(
            _table(("system", *columns), [_system(name, columns, report.systems[name]) for name in report.systems])
        )
    return "\n\n".join(part for part in parts if part)


def written(page: str, report: Report) -> str:
    """The page with these figures between its marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{tables(report)}\n\n{END}{after}"


def _system(name: str, columns: Sequence[str], found: Mapping[str, Sequence[float]]) -> Sequence[object]:
    return (name, *(summary(found[column]) if found.get(column) else "-" for column in columns))


def _table(head: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    return "\n".join([_line(head), f"|{'---|' * len(head)}", *(_line(row) for row in rows)])


def _line(cells: Sequence[object]) -> str:
    return f"| {' | '.join(str(cell) for cell in cells)} |"
