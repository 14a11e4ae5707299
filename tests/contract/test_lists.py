"""Lists and counts on every store: pages, what they look at, and what that costs."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from shared.contracts.dataplane.filters import parse_filter
from shared.errors import ErrorBody
from shared.model import lifecycle
from shared.model.ids import PARTITIONS, Locator
from shared.model.operation import Operation, Outcome, Progress, Status
from shared.model.timing import Timing
from shared.operations import list_rows, rows
from shared.operations.lists import ALL, ListPage, OperationLists, Selection
from shared.operations.records import OperationRecords
from shared.storage.ports import Insert, Page, Row, Storage, Table
from shared.system_clock import SystemClock
from tests.support.parts import LEASES, T0, make_operation

pytestmark = pytest.mark.timeout(60)

ERROR = ErrorBody("Broken", "It broke.")


@dataclass
class Counted:
    """What is asked of a table: requests, and rows that came back."""

    inner: Table
    reads: int = 0
    pages: int = 0
    rows: int = 0

    async def read(self, partition: str, key: str, **arguments: Any) -> Row | None:
        self.reads += 1
        return await self.inner.read(partition, key, **arguments)

    async def page(self, partition: str, **arguments: Any) -> Page:
        page = await self.inner.page(partition, **arguments)
        self.pages += 1
        self.rows += len(page.rows)
        return page

    async def write(self, partition: str, changes: Any) -> tuple[str | None, ...]:
        raise AssertionError("a list writes nothing")


@dataclass
class CountedStorage:
    inner: Storage
    counted: Counted = field(init=False)

    def __post_init__(self) -> None:
        self.counted = Counted(self.inner.table("operations"))

    def table(self, name: str) -> Any:
        return self.counted

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@pytest.fixture
def counted(storage: Storage) -> CountedStorage:
    return CountedStorage(storage)


@pytest.fixture
def lists(counted: CountedStorage) -> OperationLists:
    return OperationLists(counted)  # pyright: ignore[reportArgumentType]


@pytest.fixture
def records(storage: Storage) -> OperationRecords:
    return OperationRecords(storage, clock=SystemClock(), timing=Timing())


def hash_of(owner: str) -> str:
    return Locator.of(owner, "x").owner_hash


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def new(owner: str, number: int, **changes: Any) -> Operation:
    return make_operation(
        **{"id": f"i{number}", "owner": owner, "run_id": uuid4().hex, "created": at(number), "changed": at(number)}
        | changes
    )


async def running(records: OperationRecords, operation: Operation, percent: float | None = None) -> Operation:
    operation = await records.insert(operation)
    begun = operation.created + timedelta(seconds=1)
    operation = await records.change(
        operation, lambda o: lifecycle.claim(o, begun, holder="h", timeout=timedelta(minutes=5), leases=LEASES)
    )
    if percent is None:
        return operation
    later = begun + timedelta(seconds=1)
    progress = Progress(percent=percent)
    return await records.change(
        operation, lambda o: lifecycle.heartbeat(o, later, fence=1, leases=LEASES, progress=progress)
    )


async def failed(records: OperationRecords, operation: Operation) -> Operation:
    operation = await running(records, operation)
    end = operation.created + timedelta(seconds=4)
    return await records.change(operation, lambda o: lifecycle.fail(o, end, fence=1, outcome=Outcome(500, error=ERROR)))


async def fill(storage: Storage, owner: str, count: int, **columns: Any) -> None:
    """List rows of that many operations that have ended, one a second."""
    by_partition: dict[str, list[Insert]] = {}
    for number in range(count):
        operation = new(owner, number)
        values = {
            **{"kind": "test:work", "status": "Succeeded", "attempt": 1},
            **{"created": rows.write_time(operation.created), "changed": rows.write_time(operation.created)},
            **columns,
        }
        by_partition.setdefault(operation.locator.partition, []).append(Insert(list_rows.list_key(operation), values))
    table = storage.table("operations")
    for partition, inserts in by_partition.items():
        for first in range(0, len(inserts), 100):
            await table.write(partition, inserts[first : first + 100])


async def pages(
    lists: OperationLists, owner: str, selection: Selection = ALL, *, limit: int = 50, **arguments: Any
) -> AsyncIterator[ListPage]:
    position: str | None = None
    for _ in range(100):
        page = await lists.page(hash_of(owner), position=position, limit=limit, selection=selection, **arguments)
        yield page
        position = page.position
        if position is None:
            return
    raise AssertionError("the list has no end")


async def ids(lists: OperationLists, owner: str, selection: Selection = ALL, **arguments: Any) -> list[str]:
    return [row.id async for page in pages(lists, owner, selection, **arguments) for row in page.rows]


async def test_pages_of_any_size(lists: OperationLists, records: OperationRecords) -> None:
    """They give every operation of the owner once, newest first, while new ones arrive."""
    # One whose 120 operations lie in all partitions, as those of most do.
    owners = (uuid4().hex for _ in range(100))
    names = [f"id-{number % 7}.{number}" for number in range(120)]
    owner = next(o for o in owners if {Locator.of(o, id).partition for id in names} == set(PARTITIONS))
    for number, name in enumerate(names):
        # Five share each moment.
        await records.insert(new(owner, number, id=name, created=at(number // 5)))
    await records.insert(new(uuid4().hex, 1))
    for size in (7, 50, 1000):
        found: list[str] = []
        times: list[datetime] = []
        number = 0
        async for page in pages(lists, owner, limit=size):
            assert len(page.rows) <= size
            assert (page.looked_back_to is None) == (page.position is None)
            found += [row.id for row in page.rows]
            times += [row.created for row in page.rows]
            if size == 50 and page.position is not None:
                number += 1
                await records.insert(new(owner, number, id=f"new-{number}", created=at(3600 + number)))
        assert times == sorted(times, reverse=True)
        assert sorted(set(found) & set(names)) == sorted(names)
        assert len(found) == len(set(found))


async def test_a_filter_that_matches_little(lists: OperationLists, records: OperationRecords) -> None:
    """It answers short pages with a position, says how far back it looked, and still finds everything."""
    owner = uuid4().hex
    for number in range(40):
        await records.insert(new(owner, number))
    selection = parse_filter("kind eq 'none' or id eq 'i0' or id eq 'i39'")
    found = [page async for page in pages(lists, owner, selection, limit=10, budget=15)]
    assert [[row.id for row in page.rows] for page in found] == [["i39"], [], ["i0"]]
    assert [page.looked_back_to for page in found] == [at(25), at(10), None]


async def test_cost_is_flat(storage: Storage, lists: OperationLists, counted: CountedStorage) -> None:
    """A page and a count look at 1,000 rows at most and take as many requests, whatever lies behind them."""
    costs: list[tuple[int, int, int]] = []
    filters = ("errorCode eq 'Broken'", "status eq 'Running'", "createdDateTime ge 2026-01-02T03:05:00Z")
    for owner, count in ((uuid4().hex, 1_300), (uuid4().hex, 2_600)):
        await fill(storage, owner, count)
        for selection in (ALL, *map(parse_filter, filters)):
            counted.counted = Counted(counted.inner.table("operations"))
            measured = OperationLists(counted)  # pyright: ignore[reportArgumentType]
            await measured.page(hash_of(owner), position=None, limit=50, selection=selection)
            await measured.count(hash_of(owner), selection)
            costs.append((counted.counted.reads, counted.counted.pages, counted.counted.rows))
    assert all(reads == 0 for reads, _, _ in costs)
    # A page: 16 requests, or twice as many where a filter passes over rows. A count: as many, and 16 for the markers.
    assert max(pages for _, pages, _ in costs) <= 120
    assert max(rows for _, _, rows in costs) <= 2 * 16 * 80 * 2
    small, large = costs[: len(costs) // 2], costs[len(costs) // 2 :]
    for (_, few, little), (_, many, much) in zip(small, large, strict=True):
        assert many <= few + 24
        assert much <= little + 24 * 80


async def test_looks_at_a_thousand_rows(storage: Storage, lists: OperationLists) -> None:
    """A filter that matches nothing answers an empty page after 1,000 rows, with how far back that was."""
    owner = uuid4().hex
    await fill(storage, owner, 1_200)
    selection = parse_filter("errorCode eq 'Broken'")
    first, second = [page async for page in pages(lists, owner, selection)]
    assert (first.rows, first.looked_back_to) == ((), at(200))
    assert (second.rows, second.position, second.looked_back_to) == ((), None, None)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("createdDateTime ge 2026-01-02T03:04:25.678901Z", [25, 20]),
        ("createdDateTime gt 2026-01-02T03:04:25.678901Z", [25]),
        ("createdDateTime le 2026-01-02T03:04:10.678901Z", [5, 0]),
        ("createdDateTime lt 2026-01-02T03:04:10.678901Z and createdDateTime ge 2026-01-02T03:04:05Z", [0]),
        ("createdDateTime eq 2026-01-02T03:04:15.678901Z or id eq 'i0'", [10, 0]),
        ("createdDateTime gt 2030-01-01T00:00:00Z", []),
        ("lastActionDateTime lt 2026-01-02T03:04:15Z", [5, 0]),
        ("lastActionDateTime ge 2026-01-02T03:04:26Z", [25, 20]),
        ("errorCode eq 'Broken' and status ne 'Canceled'", [25, 15, 5]),
        ("errorCode in ('Broken','OperationCanceled')", [25, 20, 15, 10, 5, 0]),
        ("errorCode ne 'Broken'", [20, 10, 0]),
        ("startswith(kind,'a:')", [25, 15, 5]),
        ("kind in ('b:two','c')", [20, 10, 0]),
        ("status in ('Failed','Running')", [25, 15, 5]),
        ("labels/any(l:l eq 'odd')", [25, 15, 5]),
        ("labels/any(each: each eq 'odd') and labels/any(l:l eq 'i5')", [5]),
        ("labels/any(l:l eq 'od')", []),
        ("id eq 'i5'", [5]),
        ("id eq 'i5' and status eq 'Canceled'", []),
        ("id eq 'i5' and id eq 'i0'", []),
        ("id eq 'i5' or id eq 'i0'", [5, 0]),
        ("id eq 'unknown'", []),
    ],
)
async def test_filters(lists: OperationLists, records: OperationRecords, text: str, wanted: list[int]) -> None:
    """Each selects what it says, whatever the size of the pages."""
    owner = uuid4().hex
    for number in range(0, 30, 10):
        canceled = await records.insert(new(owner, number, action="b:two"))
        end = canceled.created + timedelta(seconds=1)
        await records.change(canceled, lambda o, end=end: lifecycle.request_cancel(o, end))
        labels = ("odd", f"i{number + 5}")
        await failed(records, new(owner, number + 5, action="a:one", labels=labels))
    for limit in (1, 50):
        assert await ids(lists, owner, parse_filter(text), limit=limit) == [f"i{number}" for number in wanted]
    count = await lists.count(hash_of(owner), parse_filter(text))
    assert (count.active, count.ended, count.more) == (0, len(wanted), False)


async def test_an_id_is_a_point_read(
    storage: Storage, lists: OperationLists, counted: CountedStorage, records: OperationRecords
) -> None:
    """`id eq` costs one request, whatever else the filter says beside it."""
    owner = uuid4().hex
    await records.insert(new(owner, 1))
    page = await lists.page(
        hash_of(owner), position=None, limit=50, selection=parse_filter("kind ne 'x' and id eq 'i1'")
    )
    assert ([row.id for row in page.rows], page.position) == (["i1"], None)
    assert (counted.counted.reads, counted.counted.pages) == (1, 0)


async def test_active_ones_are_found_behind_any_number_of_others(
    storage: Storage, lists: OperationLists, records: OperationRecords, counted: CountedStorage
) -> None:
    """A filter for what is not over finds it on the first page, in both orders, however long ago it was started."""
    owner = uuid4().hex
    await fill(storage, owner, 1_100)
    for number in (-30, -20, -10):
        await running(records, new(owner, number, id=f"old{number}"), percent=50)
    await records.insert(new(owner, 2000, id="young"))
    for text, oldest in (
        ("status ne 'Succeeded' and status in ('NotStarted','Running','Succeeded')", ["old-30", "old-20", "old-10"]),
        ("status eq 'NotStarted' or status eq 'Running'", ["old-30", "old-20", "old-10"]),
    ):
        selection = parse_filter(text)
        assert await ids(lists, owner, selection) == ["young", *reversed(oldest)]
        for limit in (1, 2, 50):
            assert await ids(lists, owner, selection, limit=limit, oldest_first=True) == [*oldest, "young"]
    counted.counted.reads = counted.counted.pages = 0
    page = await lists.page(hash_of(owner), position=None, limit=50, selection=parse_filter("status eq 'Running'"))
    assert [(row.id, row.percent) for row in page.rows] == [("old-10", 50), ("old-20", 50), ("old-30", 50)]
    # A range of those that run and one of those that wait, in each partition.
    assert (counted.counted.reads, counted.counted.pages) == (4, 32)
    # Without the filter they are behind what one page looks at.
    assert "old-10" not in [row.id for row in (await lists.page(hash_of(owner), position=None, limit=50)).rows]


async def test_rows_say_how_far_it_is(
    lists: OperationLists, records: OperationRecords, counted: CountedStorage
) -> None:
    """Running rows have the progress of their records; others are not read."""
    owner = uuid4().hex
    await records.insert(new(owner, 1))
    await running(records, new(owner, 2), percent=40)
    await running(records, new(owner, 3))
    await failed(records, new(owner, 4, labels=("a", "b")))
    page = await lists.page(hash_of(owner), position=None, limit=50)
    four, three, two, one = page.rows
    assert (one.attempt, one.percent, one.started, one.error_code) == (0, None, None, "")
    assert (two.attempt, two.percent, two.started, two.changed) == (1, 40, at(3), at(4))
    assert (three.attempt, three.percent, three.started) == (1, None, at(4))
    assert (four.status, four.error_code, four.labels) == (Status.FAILED, "Broken", ("a", "b"))
    assert (four.started, four.changed, four.percent) == (at(5), at(8), None)
    assert counted.counted.reads == 2


async def test_a_page_reads_a_hundred_records_at_most(
    storage: Storage, lists: OperationLists, counted: CountedStorage
) -> None:
    """Of the running rows of a page the first hundred are read themselves."""
    owner = uuid4().hex
    await fill(storage, owner, 130, status="Running")
    page = await lists.page(hash_of(owner), position=None, limit=1000)
    assert len(page.rows) == 130
    assert counted.counted.reads == 100


async def test_counts(storage: Storage, lists: OperationLists, records: OperationRecords) -> None:
    """Active ones are counted all, ended ones up to 1,000; what is behind those is said."""
    owner = uuid4().hex
    await fill(storage, owner, 990)
    await running(records, new(owner, -5, id="old"))
    await records.insert(new(owner, 1500, id="young"))
    for number in range(5):
        await failed(records, new(owner, 1600 + number, action="test:other"))
    count = await lists.count(hash_of(owner))
    assert (count.active, count.ended, count.more) == (2, 995, False)
    assert count.by_status == {
        **dict.fromkeys(Status, 0),
        **{Status.NOT_STARTED: 1, Status.RUNNING: 1, Status.SUCCEEDED: 990, Status.FAILED: 5},
    }
    for number in range(5, 15):
        await failed(records, new(owner, 1600 + number))
    count = await lists.count(hash_of(owner))
    assert (count.active, count.ended, count.more) == (2, 1000, True)
    assert count.by_status[Status.SUCCEEDED] == 985
    found = await lists.count(hash_of(owner), parse_filter("kind eq 'test:other' or status eq 'Running'"))
    assert (found.active, found.ended, found.more) == (1, 5, True)
    active = await lists.count(hash_of(owner), parse_filter("status eq 'Running'"))
    assert (active.active, active.ended, active.more) == (1, 0, False)


async def test_count_of_many_active_ones(
    storage: Storage, lists: OperationLists, counted: CountedStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More active ones than are looked at are counted by their markers; with a filter, `more` says that there are."""
    owner = uuid4().hex
    table = storage.table("operations")
    by_partition: dict[str, list[Insert]] = {}
    monkeypatch.setattr("shared.operations.lists.BUDGET", 50)
    for number in range(60):
        operation = new(owner, number)
        marker = Insert(operation.locator.active_key, {"created": rows.write_time(operation.created)})
        by_partition.setdefault(operation.locator.partition, []).append(marker)
    for partition, inserts in by_partition.items():
        for first in range(0, len(inserts), 100):
            await table.write(partition, inserts[first : first + 100])
    count = await lists.count(hash_of(owner))
    assert (count.active, count.ended, count.more) == (60, 0, False)
    assert counted.counted.reads == 50
    assert (await lists.count(hash_of(owner), parse_filter("kind eq 'x'"))).more


async def test_a_row_that_moves_on_while_it_is_listed(
    storage: Storage, records: OperationRecords, lists: OperationLists, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ended between the list and its record is shown as the list had it, without a progress."""
    owner = uuid4().hex
    operation = await running(records, new(owner, 1), percent=40)
    real = OperationLists._read  # pyright: ignore[reportPrivateUsage]

    async def end_first(self: OperationLists, locators: Any, **given: Any) -> Any:
        await records.change(operation, lambda o: lifecycle.fail(o, at(9), fence=1, outcome=Outcome(500, error=ERROR)))
        return await real(self, locators, **given)

    monkeypatch.setattr(OperationLists, "_read", end_first)
    (row,) = (await lists.page(hash_of(owner), position=None, limit=50)).rows
    assert (row.status, row.percent, row.error_code) == (Status.RUNNING, None, "")
    assert replace(row, position="") == replace(row, position="", is_read_itself=False)
