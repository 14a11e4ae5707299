"""Kills the app and breaks its storage, under load of every kind, and checks what it has promised."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.chaos import report
from tests.chaos.run import STORES, Plan, run

_DEFAULT = ("sqlite", "azurite", "faults")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; 0 where every promise was kept."""
    flags = _parser().parse_args(arguments)
    if not flags.only_docs:
        figures = {store: _run(flags, store) for store in flags.store or _DEFAULT}
        print(report.tables(figures))
        for store, each in figures.items():
            for problem in each.problems:
                print(f"\n{store}: {problem}")
        if flags.report:
            report.save(flags.report, figures)
        if any(each.problems for each in figures.values()):
            return 1
    if flags.write_docs or flags.only_docs:
        page = report.PAGE.read_text(encoding="utf-8")
        report.PAGE.write_text(report.written(page, report.load(flags.report or report.KEPT)), encoding="utf-8")
    return 0


def _run(flags: argparse.Namespace, store: str) -> report.Figures:
    print(f"{store}: seed {flags.seed!r} ...", file=sys.stderr, flush=True)
    plan = Plan(store=store, seed=flags.seed, seconds=flags.seconds, rounds=flags.rounds)
    if flags.folder:
        return run(plan, flags.folder / store)
    with tempfile.TemporaryDirectory(prefix=f"chaos-{store}-") as folder:
        return run(plan, Path(folder))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument(
        "--store", action="append", choices=STORES, help=f"may be given several times (default: {', '.join(_DEFAULT)})"
    )
    parser.add_argument("--seconds", type=float, default=120, help="how long each store is under load (default: 120)")
    parser.add_argument("--rounds", type=int, help="kill -9 at most so often (default: as often as there is time)")
    parser.add_argument("--seed", default="1", help="of all that is left to chance in the clients (default: 1)")
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="write the figures, as JSON; other stores in it stay"
    )
    parser.add_argument("--folder", type=Path, help="keep the data, the hosts' logs and what handlers wrote down here")
    parser.add_argument("--write-docs", action="store_true", help=f"write the figures into docs/{report.PAGE.name}")
    parser.add_argument("--only-docs", action="store_true", help="run nothing: write the page from the report")
    return parser


if __name__ == "__main__":
    sys.exit(main())
