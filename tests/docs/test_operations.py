"""docs/operations.md: its queries are Kusto's, its lists are the source's."""

import ast
import json
import os
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from local_host.azurite import find_node
from shared.actions import ActionContext, ActionFailed, Retry, action
from shared.engine.port import Work
from shared.model.timing import Timing
from shared.operations import measures
from shared.telemetry import Counter, Gauge, Histogram, Metric
from tests.docs.transcript import blocks
from tests.support import kql
from tests.support.host import ROOT
from tests.support.parts import Faults, FaultyStorage, Input, World, sqlite
from tests.support.sources import syntax_tree
from tests.support.telemetry import Recorded, recorded
from tests.unit.runner.handlers import claim_elsewhere

__all__ = ["recorded"]

PAGE = ROOT / "docs" / "operations.md"
MODULES = ROOT / ".build" / "js" / "node_modules"
SCRIPT = Path(__file__).parent / "javascript" / "kql.cjs"
KINDS = {Counter: "counter", Histogram: "histogram", Gauge: "gauge"}
QUERIES = kql.of_infra() | kql.of_documents()


def rows(title: str) -> list[list[str]]:
    """The cells of a section's first table, without its head."""
    (part,) = [each for each in PAGE.read_text(encoding="utf-8").split("\n## ") if each.startswith(f"{title}\n")]
    lines = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def words(cell: str) -> set[str]:
    return set(re.findall("`([^`]+)`", cell))


# --- queries -------------------------------------------------------------------------------------------------------


def complaints(queries: dict[str, str]) -> dict[str, list[str]]:
    """What Kusto's own parser finds, over the tables of Application Insights."""
    if not (MODULES / "@kusto").exists():
        if os.environ.get("CI"):
            pytest.fail("Kusto's parser is not installed; `make test` installs it")
        pytest.skip("Kusto's parser is not installed; `make javascript` installs it")
    line = [find_node(), str(SCRIPT), str(MODULES)]
    order = json.dumps([kql.SCHEMA, queries])
    done = subprocess.run(line, input=order, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return {name: found for name, found in json.loads(done.stdout).items() if found}


def test_queries_are_kusto() -> None:
    """Kusto's parser has nothing to say of any query, of the alerts, the workbook and the pages."""
    assert len(QUERIES) > 20
    assert complaints(QUERIES) == {}


def test_the_parser_finds_mistakes() -> None:
    """A wrong column, operator and function."""
    wrong = ["traces | where mesage has 'a'", "traces | summarise count()", "traces | extend a = lengthy(message)"]
    assert set(complaints(dict(enumerate(wrong)))) == {"0", "1", "2"}  # type: ignore[arg-type]


@pytest.mark.parametrize("name", sorted(kql.of_documents()))
def test_queries_look_for_lines_that_the_app_logs(name: str) -> None:
    """A line that is reworded in the source is reworded on the page."""
    assert kql.unknown_texts(kql.of_documents()[name]) == []


def test_a_silent_query_is_found() -> None:
    """The rule above can fail."""
    assert kql.unknown_texts('traces | where message has "Attempt blew up"') == ["Attempt blew up"]


def test_there_are_ten_questions() -> None:
    """Each with its query."""
    text = PAGE.read_text(encoding="utf-8")
    assert re.findall(r"^(\d+)\\\. ", text, re.M) == [str(n) for n in range(1, 11)]
    assert len([block for block in blocks(PAGE) if block.language == "kql"]) == 10


def test_every_alert_has_its_first_steps() -> None:
    """The alerts of `infra/`, and no other."""
    assert [words(row[0]) for row in sorted(rows("Alerts"))] == [
        {p.stem} for p in sorted(kql.INFRA.glob("alerts/*.kql"))
    ]


# --- spans and metrics ---------------------------------------------------------------------------------------------


@pytest.fixture
async def seen(recorded: Recorded, tmp_path: Path) -> AsyncIterator[Recorded]:
    """All that an operation does that fails, is lost, restarted, fails for good; and one that waits."""

    async def fail(context: ActionContext, request: Input) -> None:
        raise ActionFailed("TrialFailed", "no", retryable=True)

    async with sqlite(tmp_path) as storage:
        declared = action("test:work", post="thing/{id}:work", retry=Retry(max_attempts=2, delay="1ms"))(fail)
        world = World(FaultyStorage(storage, Faults()), declared)
        started = await world.start()
        await world.run(started)
        world.clock.pass_by(seconds=1)
        await claim_elsewhere(world, started)
        world.clock.pass_by(seconds=60)
        await world.tidy()
        await world.run(started)
        yield recorded


def names_of_spans() -> Iterator[str]:
    """Of each call of `span` in the app, as the page writes them."""
    for path in (ROOT / "shared").rglob("*.py"):
        for node in ast.walk(syntax_tree(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "telemetry.span":
                text = ast.unparse(node.args[0])
                yield re.sub(r"\{[\w.]*action(\.name)?\}", "{action}", text[2:-1])


def test_the_list_of_spans(seen: Recorded) -> None:
    """Every span of the source with its kind and all its attributes."""
    listed = {next(iter(words(row[0]))): (row[1], words(row[2])) for row in rows("Spans")}
    assert sorted(names_of_spans()) == sorted(listed)
    found: dict[str, tuple[str, set[str]]] = {}
    for span in seen.spans():
        name = span.name.replace("test:work", "{action}") if "test:work" in span.name else "{operation} {target}"
        attributes = set(span.attributes or {}) - {"error.type"}
        found[name] = span.kind.name, found.get(name, ("", set()))[1] | attributes
    assert found == listed


def test_the_list_of_metrics(seen: Recorded) -> None:
    """Every metric of the source with its kind and unit, and its attributes where it was seen."""
    listed = {next(iter(words(row[0]))): row for row in rows("Metrics")}
    metrics = [each for each in vars(measures).values() if isinstance(each, Metric)]
    assert {name: row[1:3] for name, row in listed.items()} == {
        each.name: [KINDS[type(each)], f"`{each.unit}`"] for each in metrics
    }
    assert all(len(row) == 5 and row[4] for row in listed.values())
    data = seen.reader.get_metrics_data()
    assert data is not None
    found: dict[str, set[str]] = {}
    for metric in data.resource_metrics[0].scope_metrics[0].metrics:
        found[metric.name] = set().union(*(point.attributes or {} for point in metric.data.data_points))
    not_seen = {"lro.attempt.no_place", "lro.handler.abandoned", "lro.loop.lag"}
    assert set(listed) - set(found) <= not_seen
    assert {name: words(listed[name][3]) for name in found} == found


def test_gauges_outlast_the_pause_between_passes() -> None:
    """The page says three minutes, and housekeeping comes every two."""
    assert Timing().backlog_shown == 180
    assert "for\nthree minutes" in PAGE.read_text(encoding="utf-8")


def test_the_input_of_an_orchestration() -> None:
    """An operation is found by its id in the orchestration's input, as the page shows it."""
    (shown,) = [block.text.strip() for block in blocks(PAGE) if block.language == "text"]
    assert str(Work.parse(shown)) == shown
    assert Work.parse(shown).locator.id == "0b9e5a54-7a3e-4d0c-9f5b-1f0c0f6f2a11"
