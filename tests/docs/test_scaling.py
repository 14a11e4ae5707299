"""docs/scaling.md: its tables are the script's output, and the script's counts are the app's."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench import scaling
from shared.actions import action
from shared.settings import Settings
from tests.support.host import ROOT
from tests.support.parts import Faults, FaultyStorage, World, sqlite
from tests.unit.runner.handlers import echo

PAGE = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
TABLES = scaling.tables(scaling.Load(), scaling.read_prices())


@pytest.mark.parametrize("title", TABLES)
def test_tables_are_the_scripts_output(title: str) -> None:
    """Under the section of that title; `python -m bench.scaling` prints the new one."""
    (part,) = [each for each in PAGE.split("\n## ") if each.startswith(f"{title}\n")]
    assert TABLES[title] in part


def test_the_command_prints_them() -> None:
    """With the defaults all of them, as they are."""
    line = [sys.executable, "-m", "bench.scaling"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert all(text in done.stdout for text in TABLES.values())


async def test_counts_are_those_of_an_operation(tmp_path: Path) -> None:
    """Rows and requests of a start, an attempt, a poll and a removal, counted at the store."""
    async with sqlite(tmp_path) as storage:
        world = World(FaultyStorage(storage, Faults()), action("test:work", post="thing/{id}:work")(echo))
        started = await world.start()
        # On another instance than that of the start, which still has the record at hand.
        await World(world.storage, *world.actions.values(), clock=world.clock).run(started)
        faults = world.faults
        written = [len(changes) for table, changes in faults.seen if table == "operations"]
        assert written == [scaling.WRITTEN["start"], scaling.WRITTEN["claim"], scaling.WRITTEN["end"]]
        # `World.run` reads once more, to know which delivery to make.
        assert (faults.writes, faults.reads) == (3, 1 + scaling.READ["attempt"])
        faults.reads = 0
        await world.service.get("", started.id)
        assert faults.reads == 1
        world.clock.pass_by(days=2)
        faults.seen.clear()
        faults.reads = 0
        report = await world.tidy()
        removed = [len(changes) for table, changes in faults.seen if table == "operations"]
        assert (report.removed, sum(removed), len(removed)) == (1, scaling.WRITTEN["removal"], 1)
        assert (faults.reads, scaling.REQUESTS["removal"]) == (scaling.READ["removal"], 1 + 1)


def test_counts_are_those_of_the_settings() -> None:
    """Places of an instance, passes a day and memory, as they are deployed."""
    host = json.loads((ROOT / "host.json").read_text(encoding="utf-8"))
    assert host["extensions"]["durableTask"]["maxConcurrentActivityFunctions"] == scaling.PLACES
    assert Settings.read({}).housekeeping_schedule == "0 */2 * * * *"
    assert scaling.PASSES_A_DAY == 24 * 60 / 2
    template = json.loads((ROOT / "infra" / "main.json").read_text(encoding="utf-8"))
    assert template["parameters"]["instanceMemory"]["defaultValue"] == scaling.MEMORY_GB * 1024


def test_a_price_makes_a_cost() -> None:
    """With a price the quantity is multiplied by it; without one the formula is shown."""
    prices = scaling.read_prices()
    prices["tables"] = {**prices["tables"], "usd": 0.5}
    assert scaling.million(scaling.Load(), prices)[3][3] == "450.00"
    assert scaling.million(scaling.Load(), scaling.read_prices())[3][3] == "9,000,000 / 10,000 x price"


def test_a_price_names_its_source_and_date() -> None:
    """None is from memory."""
    for name, price in scaling.read_prices().items():
        assert (price["usd"] is None) == ("source" not in price) == ("date" not in price), name


def test_long_handlers_write_heartbeats() -> None:
    """One row every ten seconds."""
    assert scaling.Load(seconds=95).entities - scaling.Load().entities == 9
    assert scaling.Load(seconds=95).requests - scaling.Load().requests == 9
