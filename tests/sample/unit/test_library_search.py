"""The full-text index of all books: what is found, how it is built in slices, and that nothing of it is left."""

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import suppress
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actions import search as search_actions
from library.book_rows import KEPT, PARTITION
from library.books import BookStore, file_name
from library.entities import BookEntities
from library.indexing import rebuild_index
from library.leftovers import clear_leftovers, look_later
from library.models import Book, RebuildIndex
from library.placing import remove_book
from library.search_index import SearchIndex
from library.search_words import BUCKETS, MAX_PARTS, bucket_of, parts_of, words_of
from library.searching import search_books
from shared.actions import (
    ActionFailed,
    Context,
    ContinueLater,
    RemovalContext,
    Remove,
    RequestError,
    SearchAnd,
    SearchExpression,
    SearchNot,
    SearchOr,
    SearchText,
)
from shared.actions.attempt_context import StepResult
from shared.contracts.odata.query.searching import parse_search
from shared.storage import Delete, Row, Storage, StorageError, Upsert, row_pages
from shared.storage.limits import check_transaction
from shared.storage.ports import Page
from shared.testing import FakeApp
from tests.support.epubs import make_epub
from tests.support.parts import (
    T0,
    Faults,
    FaultyStorage,
    FaultyTable,
    Killed,
    SilentAttempt,
    context,
    services,
    sqlite,
)

RUN, OTHER = "1" * 32, "2" * 32


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    async with sqlite(tmp_path) as opened:
        yield opened


class Attempts(SilentAttempt):
    """The attempts of one operation: what one has saved, the next one has."""

    def __init__(self) -> None:
        super().__init__()
        self.saved: Any = None
        self.time_left = timedelta(hours=1)
        self.steps: dict[str, Any] = {}

    async def save(self, state: Any, *, flush: bool) -> None:
        self.saved = state.model_dump(by_alias=True)

    async def find_step(self, key: str, function: str) -> StepResult | None:
        return StepResult(self.steps[key]) if key in self.steps else None

    async def keep_step(self, key: str, function: str, value: Any) -> Any:
        return self.steps.setdefault(key, value)


async def rebuild(
    storage: Storage, *, run_id: str = RUN, slice_books: int = 1000, attempts: Attempts | None = None
) -> int:
    """Build the index to its end; the number of slices."""
    attempts = attempts or Attempts()
    for number in range(1, 1000):
        try:
            await rebuild_index(
                context(storage, run_id=run_id, attempt_state=attempts), RebuildIndex(slice_books=slice_books), storage
            )
        except ContinueLater:
            continue
        return number
    raise AssertionError("it never ends")


async def add(storage: Storage, book_id: str, title: str, *chapters: str, creators: Iterable[str] = ()) -> Book:
    """A book; with chapters, one with an EPUB."""
    books, digest = BookStore(storage), None
    if chapters:
        epub = make_epub([f"<p>{chapter}</p>" for chapter in chapters])
        digest = sha256(epub).hexdigest()
        await books.files.put(file_name(book_id, digest), epub, content_type="application/epub+zip")
    return await books.put(Book(id=book_id, title=title, creators=list(creators), sha256=digest), source="test")


async def found(storage: Storage, text: str) -> list[str]:
    return sorted(await search_books(storage, parse_search(text)))


async def rows_of(storage: Storage, partition: str) -> list[Row]:
    return [row async for rows in row_pages(storage.table("search"), partition) for row in rows]


async def content(storage: Storage, partition: str) -> dict[str, Any]:
    rows = [row for row in await rows_of(storage, partition) if row.key != "!open"]
    return {row.key: row.values["words"] for row in rows}


async def states(storage: Storage) -> dict[str, Any]:
    return {row.key: row.values["state"] for row in await rows_of(storage, "indexes")}


# --- words ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Call me Ishmael.", ["call", "me", "ishmael"]),
        ("DON\u2019T don't", ["don't", "don't"]),
        ("Stra\u00dfe STRASSE", ["strasse", "strasse"]),
        ("\ufb01sh \uff26\uff29\uff33\uff28", ["fish", "fish"]),
        ("cafe\u0301 caf\u00e9", ["caf\u00e9", "caf\u00e9"]),
        ("co\u00adoperate", ["cooperate"]),
        ("\u03a3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2", ["\u03c3\u03af\u03c3\u03c5\u03c6\u03bf\u03c3"]),
        ("\u6771\u4eac", ["\u6771", "\u4eac"]),
        ("well-known, 20,000 x", ["well", "known", "20", "000", "x"]),
        ("x" * 100, ["x" * 64]),
        ("!? - \u2014", []),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    """Those that the book counts, however they are written."""
    assert words_of(text) == words


def in_one_bucket(number: int) -> list[str]:
    """Different words as long as they may be."""
    made, at = list[str](), 0
    while len(made) < number:
        word = f"{at:064}"
        at += 1
        if bucket_of(word) == 0:
            made.append(word)
    return made


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["same"] * 200_000, id="one word"),
        pytest.param(in_one_bucket(1_500), id="one bucket"),
        pytest.param([f"w{number}" for number in range(60_000)], id="all different"),
        pytest.param(["\U00020000" * 1, *["\u0430" * 64 + str(n) for n in range(8_000)]], id="wide characters"),
    ],
)
def test_a_part_is_one_transaction(words: list[str]) -> None:
    """Whatever a book consists of, its parts fit, and every word is in one of them, at its place."""
    pieces = [" ".join(words[start : start + 500]) for start in range(0, len(words), 500)]
    parts = list(parts_of([pieces]))
    for rows in parts:
        check_transaction(RUN, [Upsert(f"{bucket:02x}!b!00", {"words": row}) for bucket, row in enumerate(rows)])
    assert len(parts) > 1
    assert sum(row.count(",") + row.count("]") for rows in parts for row in rows) >= len(words)


def test_a_book_without_an_end() -> None:
    """The index has so much of it, and no more is read."""
    read = 0

    def endless() -> Iterable[str]:
        nonlocal read
        while True:
            read += 1
            yield " ".join(f"{'w' * 50}{read}x{number}" for number in range(100))

    assert len(list(parts_of([endless()]))) == MAX_PARTS
    assert read < 3_000


# --- what is found -------------------------------------------------------------------------------------------------


async def test_titles_creators_and_texts(storage: Storage) -> None:
    """A phrase does not go from one into the next; case and form do not matter."""
    chapters, creators = ("Call me <b>Ish</b>mael.", "Some years ago"), ("Herman Melville", "A. Nother")
    await add(storage, "moby-dick", "Moby-Dick; or, The Whale", *chapters, creators=creators)
    await add(storage, "emma", "Emma", "Emma Woodhouse, handsome, clever, and rich", creators=["Jane Austen"])
    await add(storage, "bare", "A title alone")
    await rebuild(storage)
    for text, expected in {
        "whale": ["moby-dick"],
        "MELVILLE": ["moby-dick"],
        "ishmael": ["moby-dick"],
        '"call me ishmael"': ["moby-dick"],
        '"me call"': [],
        '"melville a nother"': [],
        '"ishmael some"': [],
        "moby-dick": ["moby-dick"],
        "dick-moby": [],
        "handsome rich": ["emma"],
        "handsome AND NOT rich": [],
        "whale OR woodhouse": ["emma", "moby-dick"],
        "NOT whale": ["bare", "emma"],
        "a NOT (alone OR whale)": [],
        "a": ["bare", "moby-dick"],
        "ish": [],
    }.items():
        assert await found(storage, text) == expected, text


def matches(expression: SearchExpression, texts: list[list[str]]) -> bool:
    """The same, by reading the texts."""
    match expression:
        case SearchText(text=text):
            phrase = words_of(text)
            spans = ((each, at) for each in texts for at in range(len(each)))
            return any(each[at : at + len(phrase)] == phrase for each, at in spans)
        case SearchNot(operand=operand):
            return not matches(operand, texts)
        case SearchAnd(parts=parts):
            return all(matches(part, texts) for part in parts)
        case SearchOr(parts=parts):
            return any(matches(part, texts) for part in parts)


WORDS = st.lists(st.sampled_from(["a", "B", "c", "Dd", "e-f"]), min_size=1, max_size=4).map(" ".join)
SHELVES = st.lists(st.lists(WORDS, min_size=1, max_size=3), min_size=1, max_size=6)
ASKED = st.recursive(
    st.builds(SearchText, WORDS),
    lambda inner: (
        st.builds(SearchNot, inner)
        | st.builds(lambda parts: SearchAnd(tuple(parts)), st.lists(inner, min_size=2, max_size=3))
        | st.builds(lambda parts: SearchOr(tuple(parts)), st.lists(inner, min_size=2, max_size=3))
    ),
    max_leaves=6,
)


@settings(max_examples=30)
@given(st.data())
def test_it_finds_what_reading_finds(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Any books, any expression: the index and a look at all texts agree."""
    shelves = data.draw(SHELVES)

    async def ask() -> None:
        async with sqlite(tmp_path_factory.mktemp("books")) as storage:
            for number, (title, *creators) in enumerate(shelves):
                await add(storage, f"b{number}", title, creators=creators)
            await rebuild(storage)
            read = {f"b{number}": [words_of(text) for text in texts] for number, texts in enumerate(shelves)}
            for expression in data.draw(st.lists(ASKED, min_size=5, max_size=10)):
                expected = {book_id for book_id, texts in read.items() if matches(expression, texts)}
                assert await search_books(storage, expression) == expected

    asyncio.run(ask())


async def test_books_of_many_parts(storage: Storage) -> None:
    """More parts than are looked at together, and phrases over the border between two of them."""
    index, texts = SearchIndex(storage), dict[str, list[str]]()
    await index.begin(RUN)
    for number in range(12):
        texts[f"b{number:02}"] = [f"w{number}x{at}" for at in range(number * 20)] + ["last"]
        for part, start in enumerate(range(0, len(texts[f"b{number:02}"]), 20)):
            words = texts[f"b{number:02}"][start : start + 20]
            rows = next(iter(parts_of([[""] for _ in range(start)] + [[" ".join(words)]])))
            await index.put(RUN, f"b{number:02}", part, rows)
    await index.finish(RUN)
    assert await found(storage, "last") == sorted(texts)
    assert await found(storage, '"w5x19 w5x20"') == ["b05"]
    assert await found(storage, '"w11x219 last" OR "w3x59 last" OR "w3x19 w3x21"') == ["b03", "b11"]
    assert await found(storage, "last NOT w7x0") == [each for each in sorted(texts) if each != "b07"]


async def test_without_an_index(storage: Storage) -> None:
    """409 says how to make one; a text without a word is 400, whether there is one or not."""
    with pytest.raises(RequestError) as missing:
        await found(storage, "whale")
    assert (missing.value.status, missing.value.code) == (409, "SearchIndexMissing")
    for text in ("!?", 'a OR "- -"'):
        with pytest.raises(RequestError) as refused:
            await found(storage, text)
        assert (refused.value.status, refused.value.code, refused.value.target) == (400, "InvalidExpression", "$search")


# --- slices --------------------------------------------------------------------------------------------------------


async def small_books(storage: Storage, number: int) -> None:
    for each in range(number):
        await add(storage, f"b{each:02}", f"Book {each}", f"number {each} of <i>all</i>")


async def test_slices_make_the_same_index() -> None:
    """Forty books in twenty slices; each goes on behind the last one, and the books are counted once."""
    async with FakeApp() as app:
        await small_books(app.storage, 40)
        whole = app.run(search_actions.rebuild, {})
        assert (await whole).books == 40
        expected = await content(app.storage, whole.run_id)
        assert len(expected) == 40 * BUCKETS
        run, slices = app.run(search_actions.rebuild, {"sliceBooks": 2}), 1
        while True:
            try:
                assert (await run).books == 40
                break
            except ContinueLater:
                run, slices = app.run(search_actions.rebuild, {"sliceBooks": 2}, retry_of=run), slices + 1
        assert (slices, run.steps) == (20, {"count": 40})
        assert (run.progress[-1].done, run.progress[-1].total) == (40, 40)
        assert await content(app.storage, run.run_id) == expected
        assert await states(app.storage) == {run.run_id: "current"}
        assert await rows_of(app.storage, whole.run_id) == [], "the one before is gone"


async def test_a_slice_ends_before_its_time(storage: Storage) -> None:
    """One with little time left stores nothing more."""
    await small_books(storage, 3)
    attempts = Attempts()
    attempts.time_left = timedelta(seconds=44)
    with pytest.raises(ContinueLater):
        await rebuild_index(context(storage, run_id=RUN, attempt_state=attempts), RebuildIndex(), storage)
    assert (attempts.saved, await content(storage, RUN)) == (None, {})


@pytest.mark.parametrize("fault", ["kill", "kill-before", "lost", "down"])
async def test_any_write_goes_wrong(storage: Storage, fault: Any) -> None:
    """Whichever it is, and with checkpoints that are older than the index: the next attempts end with the same one.

    Whoever searches meanwhile finds all with the one before, or all with the new one.
    """
    await small_books(storage, 4)
    await rebuild(storage, run_id=OTHER)
    expected = await content(storage, OTHER)
    before = OTHER

    async def look(table: str, changes: object) -> None:
        assert await found(storage, "all") == ["b00", "b01", "b02", "b03"]

    for at in range(1, 12):
        run_id = f"{at:032x}"
        faults, attempts = Faults(at=at, fault=fault), Attempts()
        try:
            await rebuild(FaultyStorage(storage, faults), run_id=run_id, slice_books=2, attempts=attempts)
        except (Killed, StorageError):
            # Of some the last checkpoint was never stored: the 9th write puts the index into its place.
            attempts.saved = None if at in (4, 7, 9) else attempts.saved
            again = FaultyStorage(storage, Faults(before=look))
            await rebuild(again, run_id=run_id, slice_books=2, attempts=attempts)
        assert faults.writes >= at
        assert await content(storage, run_id) == expected
        assert await states(storage) == {run_id: "current"}
        assert await rows_of(storage, before) == []
        before = run_id


async def test_readers_never_see_half_of_it(storage: Storage) -> None:
    """At each write of a rebuild, and where the index is replaced between two reads of a search, they find all."""
    await small_books(storage, 3)
    await rebuild(storage, run_id=OTHER)
    seen = list[list[str]]()

    async def look(table: str, changes: object) -> None:
        seen.append(await found(storage, "all"))

    await rebuild(FaultyStorage(storage, Faults(before=look)), slice_books=1)
    assert len(seen) == 12
    assert {tuple(each) for each in seen} == {("b00", "b01", "b02")}
    late = list[str]()

    class Replacing(FaultyTable):
        """Somebody replaces the index, and removes the one before, while its rows are read."""

        async def page(self, partition: str, **arguments: Any) -> Page:
            if partition == RUN and not late:
                late.append(partition)
                await rebuild(storage, run_id=OTHER)
            return await super().page(partition, **arguments)

    class Reader(FaultyStorage):
        def table(self, name: str) -> Replacing:
            return Replacing(self.inner.table(name), name, self.faults)

    assert await found(Reader(storage), "all") == ["b00", "b01", "b02"]
    assert late == [RUN]


# --- nothing is left -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["delete", "odata", "batch", "sweep"])
async def test_a_book_leaves_the_index_with_its_row(storage: Storage, how: str) -> None:
    """Of the one that is searched, and of the one that is being built; no other book is touched."""
    await small_books(storage, 3)
    await rebuild(storage)
    index, rows = SearchIndex(storage), next(parts_of([["all"]]))
    await index.begin(OTHER)
    for part in range(3):
        await index.put(OTHER, "b01", part, rows)
    await index.put(OTHER, "b01-2", 0, rows)
    if how == "delete":
        await remove_book(context(), "b01", storage)
    elif how == "sweep":
        tombstone = {"tombstone": True, "removed": T0.isoformat(), "written_by": "x", "sha256": "", "superseded": ""}
        await BookStore(storage).rows.write(PARTITION, [Upsert("b01", tombstone), look_later({"b01": []}, T0)])
        await clear_leftovers(storage, T0 + KEPT + timedelta(seconds=1))
    else:
        await BookEntities(storage, T0).write([Remove("b01")], by="run" if how == "batch" else "")
    assert await found(storage, "all") == ["b00", "b02"]
    assert {key.split("!")[1] for key in await content(storage, RUN)} == {"b00", "b02"}
    assert {key.split("!")[1] for key in await content(storage, OTHER)} == {"b01-2"}


async def test_a_removal_that_dies_before_the_index(storage: Storage) -> None:
    """The next attempt of it finds no row any more, and clears the index all the same."""
    await small_books(storage, 2)
    await rebuild(storage)
    await BookStore(storage).rows.write(PARTITION, [Delete("b01")])
    await remove_book(context(), "b01", storage)
    assert await found(storage, "all") == ["b00"]


async def test_a_book_that_is_removed_while_it_is_indexed(storage: Storage) -> None:
    """Whoever comes last, its removal or its rows: nothing of it stays, also where the attempt dies right then."""
    for fault in ("", "kill"):
        await small_books(storage, 3)
        removed = list[str]()

        async def remove(table: str, changes: Any, removed: list[str] = removed) -> None:
            if not removed and table == "search" and any("!b01!" in change.key for change in changes):
                removed.append("b01")
                await BookStore(storage).remove("b01")

        attempts, run_id = Attempts(), OTHER if fault else RUN
        faults = Faults(before=remove, at=4 if fault else 0, fault="kill")
        try:
            await rebuild(FaultyStorage(storage, faults), run_id=run_id, attempts=attempts)
        except Killed:
            assert any("b01" in key for key in await content(storage, run_id)), "the test looks at that moment"
            await rebuild(storage, run_id=run_id, attempts=attempts)
        assert removed
        assert {key.split("!")[1] for key in await content(storage, run_id)} == {"b00", "b02"}


async def test_an_index_that_is_given_up(storage: Storage) -> None:
    """After a cancel, or with its operation, the sweep removes it in bounded steps; the one that is searched stays."""
    await small_books(storage, 3)
    await rebuild(storage)
    index = SearchIndex(storage)
    asked: dict[str, Any] = {"owner": "", "base_url": "", "api_version": "", "services": services(storage)}
    app = Context(**asked)
    removal = RemovalContext(**asked, operation_id="x", run_id=OTHER, created=T0)
    ends: list[Callable[[], Awaitable[None]]] = [
        lambda: search_actions.give_up(app, OTHER),
        lambda: search_actions.give_up_unfinished(removal),
    ]
    for give_up in ends:
        await index.begin(OTHER)
        for number in range(3):
            await index.put(OTHER, f"b{number:02}", 0, [f'{{"x":[{number}]}}'] * BUCKETS)
        await search_actions.give_up(app, RUN)
        await give_up()
        assert await states(storage) == {RUN: "current", OTHER: "going"}
        assert not await index.clear(transactions=1)
        assert len(await rows_of(storage, OTHER)) == 1 + 3 * BUCKETS - 100
        await search_actions.clear_leftovers(app)
        assert (await states(storage), await rows_of(storage, OTHER)) == ({RUN: "current"}, [])
    assert await found(storage, "all") == ["b00", "b01", "b02"]


@pytest.mark.parametrize("stalls_at", [1, 2, 3, 4, 5])
async def test_an_attempt_that_stalls_until_its_index_is_gone(storage: Storage, stalls_at: int) -> None:
    """Canceled meanwhile, and swept away: whichever write it stalls at, it leaves nothing that nobody would find."""
    await small_books(storage, 3)
    app = Context(owner="", base_url="", api_version="", services=services(storage))
    writes = list[str]()

    async def stall(table: str, changes: Any) -> None:
        writes.append(table)
        if len(writes) == stalls_at:
            await search_actions.give_up(app, RUN)
            await search_actions.clear_leftovers(app)
            assert await rows_of(storage, RUN) == []

    with suppress(ActionFailed):
        await rebuild(FaultyStorage(storage, Faults(before=stall)))
    assert len(writes) >= stalls_at
    left = {"current"} if stalls_at == 1 else set[str]()
    assert set((await states(storage)).values()) == left, "one that was not noted yet cannot be given up"
    assert bool(await rows_of(storage, RUN)) == bool(left)


async def test_an_index_that_is_searched_takes_no_more_rows(storage: Storage) -> None:
    """An attempt that stalled while another one has finished the index fails, and changes nothing."""
    await small_books(storage, 3)
    writes = list[str]()

    async def stall(table: str, changes: Any) -> None:
        writes.append(table)
        if len(writes) == 4:
            await rebuild(storage)
            await remove_book(context(), "b01", storage)

    with pytest.raises(ActionFailed, match="IndexGivenUp"):
        await rebuild(FaultyStorage(storage, Faults(before=stall)))
    assert await states(storage) == {RUN: "current"}
    assert {key.split("!")[1] for key in await content(storage, RUN)} == {"b00", "b02"}


async def test_who_was_given_up_goes_on_no_more(storage: Storage) -> None:
    """Another run that begins gives up the one before it, which ends as failed where it is still there."""
    await small_books(storage, 2)
    attempts = Attempts()
    with pytest.raises(ContinueLater):
        await rebuild_index(
            context(storage, run_id=OTHER, attempt_state=attempts), RebuildIndex(slice_books=1), storage
        )
    index = SearchIndex(storage)
    await index.begin(RUN)
    assert await states(storage) == {OTHER: "going", RUN: "building"}
    with pytest.raises(ActionFailed, match="IndexGivenUp"):
        await rebuild(storage, run_id=OTHER, attempts=attempts)
    await rebuild(storage)
    assert (await states(storage), await rows_of(storage, OTHER)) == ({RUN: "current"}, [])


async def test_the_last_book_takes_the_index_along(storage: Storage) -> None:
    """Where no book is left in it the sweep removes the index; one over no books at all goes, too."""
    app = Context(owner="", base_url="", api_version="", services=services(storage))
    await small_books(storage, 1)
    await rebuild(storage)
    await search_actions.clear_leftovers(app)
    assert await found(storage, "all") == ["b00"]
    await remove_book(context(), "b00", storage)
    assert await found(storage, "all") == []
    await search_actions.clear_leftovers(app)
    assert await states(storage) == {}


async def test_a_pass_with_nothing_to_do(storage: Storage) -> None:
    """It costs two queries."""
    counting = FaultyStorage(storage)
    await search_actions.clear_leftovers(Context(owner="", base_url="", api_version="", services=services(counting)))
    assert (counting.faults.pages, counting.faults.reads, counting.faults.writes) == (2, 0, 0)


async def test_an_epub_that_is_gone(storage: Storage, caplog: pytest.LogCaptureFixture) -> None:
    """The book is found by its title, and the log says why by no more."""
    book = await add(storage, "b1", "A title", "some text")
    await BookStore(storage).files.delete(file_name("b1", book.sha256 or ""))
    await rebuild(storage)
    assert (await found(storage, "title"), await found(storage, "text")) == (["b1"], [])
    assert "The EPUB of b1 is gone" in caplog.text


async def test_memory_does_not_grow_with_the_books(storage: Storage) -> None:
    """Six books of 150 KB take no more of it than two."""
    text = " ".join(f"word{number % 4000} and then" for number in range(9_000))
    assert len(text) > 150_000
    peaks: list[int] = []
    for number in (2, 6):
        for each in range(number):
            await add(storage, f"b{each}", "Book", text)
        gc.collect()
        tracemalloc.start()
        await rebuild(storage, run_id=f"{number:032}")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]
