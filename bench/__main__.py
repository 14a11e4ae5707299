"""The figures: `make bench`. Each stands beside a floor or a rival, measured in the same run and in turn with it."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from bench import (
    azurite,
    cold,
    engine,
    epub,
    growth,
    import_time,
    large,
    latency,
    overload,
    pace,
    pollers,
    report,
    requests,
    speed,
)
from bench.systems import Missing


class Measure(Protocol):
    """Adds what it measures to the report."""

    def __call__(self, folder: Path, report: report.Report, *, rounds: int, rivals: bool) -> None: ...


MEASURES: dict[str, Measure] = {
    "import": import_time.measure,
    "cold": cold.measure,
    "requests": requests.measure,
    "pace": pace.measure,
    "speed": speed.measure,
    "azurite": azurite.measure,
    "engine": engine.measure,
    "pollers": pollers.measure,
    "large": large.measure,
    "overload": overload.measure,
    "epub": epub.measure,
    "latency": latency.measure,
    "growth": growth.measure,
    "sweep": growth.measure_sweep,
    "restart": growth.measure_restart,
}
LONG = {"growth", "sweep", "restart"}
"""Measured where they are named, or with `--full`."""


def main(arguments: Sequence[str] | None = None) -> int:
    flags = _parser().parse_args(arguments)
    if flags.only_docs:
        page = report.PAGE.read_text(encoding="utf-8")
        report.PAGE.write_text(report.written(page, report.load(flags.report or report.KEPT)), encoding="utf-8")
        return 0
    found = report.Report(machine=report.this_machine())
    try:
        for name in flags.only or [name for name in MEASURES if flags.full or name not in LONG]:
            with tempfile.TemporaryDirectory(prefix=f"bench-{name}-") as folder:
                MEASURES[name](Path(folder), found, rounds=flags.rounds, rivals=flags.rivals)
            if flags.report:
                report.save(flags.report, found)
            print(flush=True)
    except Missing as missing:
        print(f"bench: it needs {missing}", file=sys.stderr)
        return 1
    print(report.tables(found))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("only", nargs="*", choices=[*MEASURES, []], help="which figures; all by default")
    parser.add_argument("--rounds", type=int, default=5, help="how often each figure is taken (default: 5)")
    parser.add_argument("--full", action="store_true", help="also what takes many minutes: up to a million records")
    parser.add_argument("--rivals", action="store_true", help="also Celery, Restate and DBOS, of .build/rivals")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the figures, as JSON, each as it is there")
    parser.add_argument(
        "--only-docs", action="store_true", help="run nothing: write docs/performance.md from the report"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
