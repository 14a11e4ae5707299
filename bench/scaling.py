"""How far an app scales, and its cost: the tables of docs/scaling.md, by arithmetic. `python -m bench.scaling`.

Limits are Microsoft's published targets, named in the document. Counts per operation are those of this app
(tests/docs/test_scaling.py counts them again). Prices come from a JSON file: those that nobody has sourced are to be
filled in, with the quantity that they multiply shown.
"""

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

PRICES = Path(__file__).with_name("prices.json")

# Limits.
PARTITIONS, PARTITION_ENTITIES, ACCOUNT_ENTITIES = 16, 2_000, 20_000
"""Of one app's records; entities a second of a partition and of an account."""
QUEUE_MESSAGES = 2_000
"""A second, of one queue."""
UNIT_ACTIONS, MOST_UNITS, CONSUMPTION_ACTIONS = 2_000, 3, 500
"""Of the Durable Task Scheduler, a second."""

# An operation.
WRITTEN = {"start": 3, "claim": 2, "end": 4, "removal": 4}
"""Rows of each change."""
READ = {"attempt": 1, "removal": 1}
"""Before an attempt on another instance than that of the start."""
REQUESTS = {"start": 1, "attempt": 1, "claim": 1, "end": 1, "removal": 2}
"""To Azure Tables: a transaction is one."""
CONTROL_MESSAGES, WORK_MESSAGES = 2, 1
"""Messages of the hub on Azure Storage: the start and the activity's result; the activity."""
HUB_REQUESTS = 3 * (CONTROL_MESSAGES + WORK_MESSAGES) + 9 + 3
"""Each message is put, fetched and deleted; history and instance are read and written nine times, and then purged.
Counted at the released extension 3.19 over Azurite, 40 operations."""
ACTIONS = 3
"""Of the scheduler: the start, the activity, its result."""
EXECUTIONS = 4
"""Of functions, without polls: the start, the orchestrator twice, the activity."""
CPU_MS = 15.0
"""CPU of the functions' process, polls included: an assumption, to be measured by `make bench`."""
RECORD_KB = 4.0
LOG_ITEMS_PER_EXECUTION, LOG_LINES, LOG_ITEM_KB = 3, 2, 1.0
"""Telemetry: a request and two lines of the host for each execution, two lines of the app; an assumption."""

# An app.
PLACES = 28
"""`maxConcurrentActivityFunctions` of host.json."""
USABLE_CPU = 0.7
MEMORY_GB = 2.0
PASSES_A_DAY, PASS_REQUESTS = 720, 34
"""Housekeeping: 33 queries and the row of the site."""
HUB_PARTITIONS, MOST_HUB_PARTITIONS, POLL_PAUSE = 4, 16, 5
DAY = 86_400


@dataclass(frozen=True)
class Load:
    """Operations of one kind: the seconds that a handler takes, the polls, the days a record stays."""

    seconds: float = 2.0
    polls: int = 3
    days: float = 1.0

    @property
    def entities(self) -> float:
        """Rows read and written; a heartbeat every ten seconds."""
        return sum(WRITTEN.values()) + sum(READ.values()) + self.polls + self.seconds // 10

    @property
    def requests(self) -> float:
        return sum(REQUESTS.values()) + self.polls + self.seconds // 10


def bounds(load: Load) -> list[Sequence[str]]:
    records, hub = ACCOUNT_ENTITIES / load.entities, ACCOUNT_ENTITIES / HUB_REQUESTS
    both = ACCOUNT_ENTITIES / (load.entities + HUB_REQUESTS)
    control, most = (n * QUEUE_MESSAGES / CONTROL_MESSAGES for n in (HUB_PARTITIONS, MOST_HUB_PARTITIONS))
    return [
        ("records: 16 partitions", f"{PARTITIONS} x {PARTITION_ENTITIES:,} / {load.entities:g} rows",
         _whole(PARTITIONS * PARTITION_ENTITIES / load.entities)),
        ("records: their account", f"{ACCOUNT_ENTITIES:,} / {load.entities:g} rows", _whole(records)),
        ("hub on Azure Storage, in the same account", f"{ACCOUNT_ENTITIES:,} / ({load.entities:g} + {HUB_REQUESTS})",
         _whole(both)),
        ("hub on Azure Storage, in its own account", f"{ACCOUNT_ENTITIES:,} / {HUB_REQUESTS} requests", _whole(hub)),
        (f"its control queues, {HUB_PARTITIONS} partitions", f"{HUB_PARTITIONS} x {QUEUE_MESSAGES:,} / "
         f"{CONTROL_MESSAGES} messages", _whole(control)),
        (f"its control queues, {MOST_HUB_PARTITIONS} partitions", f"{MOST_HUB_PARTITIONS} x {QUEUE_MESSAGES:,} / "
         f"{CONTROL_MESSAGES} messages", _whole(most)),
        ("its queue of activities", f"{QUEUE_MESSAGES:,} / {WORK_MESSAGES} message",
         _whole(QUEUE_MESSAGES / WORK_MESSAGES)),
        ("Durable Task Scheduler, a unit", f"{UNIT_ACTIONS:,} / {ACTIONS} actions", _whole(UNIT_ACTIONS / ACTIONS)),
        (f"Durable Task Scheduler, {MOST_UNITS} units", f"{MOST_UNITS} x {UNIT_ACTIONS:,} / {ACTIONS} actions",
         _whole(MOST_UNITS * UNIT_ACTIONS / ACTIONS)),
        ("Durable Task Scheduler, Consumption", f"{CONSUMPTION_ACTIONS} / {ACTIONS} actions",
         _whole(CONSUMPTION_ACTIONS / ACTIONS)),
        ("an instance, attempts that wait", f"{PLACES} places / {load.seconds:g} s", _whole(PLACES / load.seconds)),
        ("an instance, its interpreter", f"{USABLE_CPU:g} x 1,000 ms / {CPU_MS:g} ms",
         _whole(USABLE_CPU * 1000 / CPU_MS)),
    ]  # fmt: skip


def sizes(load: Load, rates: Iterable[int] = (1, 10, 100, 1_000, 10_000)) -> list[Sequence[str]]:
    """For each rate, how much of everything is needed."""
    return [
        (
            f"{rate:,}",
            f"{rate * load.entities:,.0f}",
            f"{ceil(rate * load.entities / ACCOUNT_ENTITIES)}",
            f"{ceil(rate * HUB_REQUESTS / ACCOUNT_ENTITIES)}",
            f"{ceil(rate * ACTIONS / UNIT_ACTIONS)}",
            f"{rate * load.seconds:,.0f}",
            f"{ceil(max(rate * load.seconds / PLACES, rate * CPU_MS / 1000 / USABLE_CPU)):,}",
        )
        for rate in rates
    ]


def million(load: Load, prices: dict[str, Any]) -> list[Sequence[str]]:
    n = 1_000_000
    executions = EXECUTIONS + load.polls
    log_gb = n * (executions * LOG_ITEMS_PER_EXECUTION + LOG_LINES) * LOG_ITEM_KB / 1e6
    return [
        _cost("executions of functions", n * executions, "executions", prices),
        _cost("compute, instances full", n * load.seconds / PLACES * MEMORY_GB, "compute", prices),
        _cost("compute, one attempt at a time", n * load.seconds * MEMORY_GB, "compute", prices),
        _cost("records: requests", n * load.requests, "tables", prices),
        _cost("records: stored", n * RECORD_KB / 1e6 * load.days / 30, "stored", prices),
        _cost("hub on Azure Storage", n * HUB_REQUESTS, "hub", prices),
        _cost("or the scheduler, Consumption", n * ACTIONS, "scheduler-actions", prices),
        _cost("logs", log_gb, "logs", prices),
    ]


def idle_day(prices: dict[str, Any]) -> list[Sequence[str]]:
    log_gb = PASSES_A_DAY * LOG_ITEMS_PER_EXECUTION * LOG_ITEM_KB / 1e6
    return [
        _cost("housekeeping: executions", PASSES_A_DAY, "executions", prices),
        _cost("housekeeping: compute, a second each", PASSES_A_DAY * MEMORY_GB, "compute", prices),
        _cost("housekeeping: requests", PASSES_A_DAY * PASS_REQUESTS, "tables", prices),
        _cost("hub on Azure Storage, an instance that polls", (HUB_PARTITIONS + 1) * DAY / POLL_PAUSE, "hub", prices),
        _cost("or the scheduler, Dedicated, one unit", 1, "scheduler-units", prices),
        _cost("an always-ready instance", DAY * MEMORY_GB, "always-ready", prices),
        _cost("logs", log_gb, "logs", prices),
    ]


def sources(prices: dict[str, Any]) -> list[Sequence[str]]:
    return [
        (
            each["unit"],
            _price(each),
            each.get("source") or "fill in: the service's pricing page",
            each.get("date") or "",
        )
        for each in prices.values()
    ]


def _whole(rate: float) -> str:
    return f"{int(rate):,}"


def _price(price: dict[str, Any]) -> str:
    if price["usd"] is None:
        return "fill in"
    return f"{price['usd']:f}".rstrip("0") + (f" for {price['per']:,}" if price["per"] > 1 else "")


def _cost(item: str, quantity: float, name: str, prices: dict[str, Any]) -> Sequence[str]:
    price = prices[name]
    amount = f"{quantity:,.0f}" if quantity >= 10 else f"{quantity:.3g}"
    if price["usd"] is None:
        return item, amount, price["unit"], f"{amount} / {price['per']:,} x price"
    return item, amount, price["unit"], f"{quantity / price['per'] * price['usd']:,.2f}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def tables(load: Load, prices: dict[str, Any]) -> dict[str, str]:
    """By their titles, as the document has them."""
    return {
        "Bounds": table(("bound", "arithmetic", "operations a second"), bounds(load)),
        "From 1 to 10,000 operations a second": table(
            ("operations a second", "rows a second", "accounts for records", "accounts for the hub",
             "or scheduler units", "attempts at a time", "instances"),
            sizes(load),
        ),
        "A million operations": table(("item", "quantity", "unit", "USD"), million(load, prices)),
        "An idle day": table(("item", "quantity", "unit", "USD"), idle_day(prices)),
        "Prices": table(("unit", "USD", "source", "date"), sources(prices)),
    }  # fmt: skip


def read_prices(path: Path = PRICES) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.scaling", description=__doc__)
    parser.add_argument("--seconds", type=float, default=Load.seconds, help="that a handler takes")
    parser.add_argument("--polls", type=int, default=Load.polls, help="of an operation")
    parser.add_argument("--days", type=float, default=Load.days, help="that a record stays")
    parser.add_argument("--prices", type=Path, default=PRICES, help="a copy of bench/prices.json with your prices")
    given = parser.parse_args()
    load = Load(given.seconds, given.polls, given.days)
    for title, text in tables(load, read_prices(given.prices)).items():
        print(f"{title}\n\n{text}\n")


if __name__ == "__main__":
    main()
