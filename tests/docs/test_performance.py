"""docs/performance.md has the figures of its report, with a verdict on each goal."""

import shutil
from pathlib import Path

import pytest

from bench import report, speed
from bench.__main__ import MEASURES, main
from bench.marks import MARKS, summary, verdict
from tests.support.host import ROOT

FULL = {"growth", "sweep", "restart", "sweep_polls", "restart_polls"}
"""Measured with FULL=1 alone."""
ONCE = {"requests", "file", "pace_polls", "pace_added", "pollers", "large", "overload"} | FULL - {"growth"}
"""Counted, simulated, the worst of many, or as long as all others together."""
FIGURES = report.load(report.KEPT)


def test_the_page_has_the_figures_of_the_report() -> None:
    """Written again from the report, the page is what it is."""
    page = report.PAGE.read_text(encoding="utf-8")
    assert report.written(page, FIGURES) == page
    assert report.written(page, report.Report()) != page


def test_the_report_is_of_a_whole_run() -> None:
    """Every goal has a figure, taken several times where it is a ratio of what was timed in turn."""
    assert MARKS.keys() - FULL <= FIGURES.marks.keys() <= MARKS.keys()
    assert all(len(values) >= 3 for key, values in FIGURES.marks.items() if key not in ONCE)
    assert {mark.number for mark in MARKS.values()} == set(range(1, 18))


def test_verdicts() -> None:
    """The median decides: at the goal it is reached, from the side that is good."""
    least, most = MARKS["celery"], MARKS["cpu"]
    assert [verdict(least, [value]) for value in (0.99, 1.0, 1.01)] == ["missed", "reached", "reached"]
    assert [verdict(most, [value]) for value in (1.59, 1.6, 1.61)] == ["reached", "reached", "missed"]
    assert verdict(least, [0.1, 1.2, 1.3]) == "reached"
    assert (summary([1.0, 3.0, 2.0]), summary([100.4])) == ("2.00 (1.00 to 3.00)", "100 (100 to 100)")


def test_what_was_not_run(capsys: pytest.CaptureFixture[str]) -> None:
    """A goal without a figure is shown as such, never as reached."""
    lines = report.tables(report.Report(marks={"callers": [0.5]})).splitlines()
    assert "| 2 | operations/s of 64 callers over those of 16 | >= 0.9 x | 0.50 (0.50 to 0.50) | missed |" in lines
    assert sum("| not run |" in line for line in lines) == len(MARKS) - 1


def test_the_command_writes_the_page_from_a_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--only-docs` runs nothing and fills in the figures of a report, as it was saved."""
    page, kept = tmp_path / "page.md", tmp_path / "report.json"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    report.save(kept, FIGURES)
    assert report.load(kept) == FIGURES
    monkeypatch.setattr(report, "PAGE", page)
    assert main(["--only-docs", "--report", str(kept)]) == 0
    text = page.read_text()
    assert (text.startswith("before\n"), text.endswith("after\n"), "old" in text) == (True, True, False)


def test_a_run_of_a_part_keeps_the_other_figures(tmp_path: Path) -> None:
    """A report that is there already gets the figures of what was run, and no others change."""
    kept = tmp_path / "report.json"
    report.save(kept, FIGURES)
    report.save(kept, report.Report(marks={"growth": [9.0]}, systems={"a system": {"starts/s": [1.0]}}, machine="m"))
    renewed = report.load(kept)
    assert (renewed.marks, renewed.machine) == ({**FIGURES.marks, "growth": [9.0]}, "m")
    assert renewed.systems == {**FIGURES.systems, "a system": {"starts/s": [1.0]}}


def test_each_part_saves_its_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was measured stays where a later part does not get to its end."""

    def fails(folder: Path, found: report.Report, *, rounds: int, rivals: bool) -> None:
        raise OSError("the disk is full")

    def measures(folder: Path, found: report.Report, *, rounds: int, rivals: bool) -> None:
        found.add({"large": [50.0]})

    monkeypatch.setitem(MEASURES, "large", measures)
    monkeypatch.setitem(MEASURES, "growth", fails)
    kept = tmp_path / "report.json"
    with pytest.raises(OSError, match="full"):
        main(["large", "growth", "--report", str(kept)])
    assert report.load(kept).marks == {"large": [50.0]}


def test_a_rival_that_is_not_installed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """It names the Debian package, and starts nothing else."""
    monkeypatch.delenv("REDIS_SERVER", raising=False)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert main(["speed", "--rivals"]) == 1
    assert "of the Debian package redis-server" in capsys.readouterr().err


def test_the_bench_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small run has every figure of the app and of Durable Functions beside it."""
    for name, count in {"OPERATIONS": 20, "POLLS": 4, "WARM": 2, "CALLERS": 2, "MANY": 4, "YOUNG": 0}.items():
        monkeypatch.setattr(speed, name, count)
    found = report.Report()
    speed.measure(tmp_path, found, rounds=1, rivals=False)
    assert found.marks.keys() == {"callers", "cpu", "poll_running", "poll_ended", "file"}
    assert all(each > 0 for figures in found.systems.values() for values in figures.values() for each in values)


def test_versions_of_rivals_are_pinned() -> None:
    """The figures name them by the file that installs them."""
    lines = (ROOT / "bench" / "rivals" / "requirements.txt").read_text().splitlines()
    pinned = {line.partition("==")[0] for line in lines if "==" in line}
    assert {"celery[redis]", "dbos", "fastapi", "redis", "uvicorn"} <= pinned
