"""docs/reliability.md has the figures of its report: of a whole run, in which no promise was broken."""

from pathlib import Path

import pytest

from tests.chaos import report
from tests.chaos.__main__ import main
from tests.chaos.journeys import KINDS
from tests.chaos.remains import OF_THE_APP
from tests.chaos.run import EVERY, STORES
from tests.support.faulty_proxy import Fault

FIGURES = report.load(report.KEPT)


def test_the_page_has_the_figures_of_the_report() -> None:
    """Written again from the report, the page is what it is."""
    page = report.PAGE.read_text(encoding="utf-8")
    assert report.written(page, FIGURES) == page
    assert report.written(page, {}) != page


def test_the_report_is_of_a_whole_run() -> None:
    """Each run is in it, with operations of every kind, kills or all kinds of faults, and no broken promise."""
    assert set(FIGURES) == set(STORES)
    for store, figures in FIGURES.items():
        assert figures.problems == [], store
        assert figures.accepted.keys() == KINDS.keys(), store
        assert (figures.kills == 0) == (store == "faults"), store
        assert figures.seconds > 120, store
        own = {table: len(rows) for table, rows in OF_THE_APP.items()}
        assert all(number <= own.get(table, 0) for table, number in figures.remains.items()), store
    assert FIGURES["faults"].faults.keys() == {str(fault) for fault in Fault}
    assert f"Every {EVERY}th request" in report.PAGE.read_text(encoding="utf-8")


def test_the_command_writes_the_page_from_a_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--only-docs` runs nothing and fills in the figures; another run's stores stay in the report."""
    page, kept = tmp_path / "page.md", tmp_path / "report.json"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    report.save(kept, {"sqlite": FIGURES["sqlite"]})
    report.save(kept, {"engine": FIGURES["engine"]})
    assert report.load(kept).keys() == {"sqlite", "engine"}
    monkeypatch.setattr(report, "PAGE", page)
    assert main(["--only-docs", "--report", str(kept)]) == 0
    text = page.read_text()
    assert "| SQLite | Durable extension |" in text
    assert (text.startswith("before\n"), text.endswith("after\n"), "old" in text) == (True, True, False)
