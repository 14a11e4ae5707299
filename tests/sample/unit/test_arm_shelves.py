"""The sample's shelves, with books on them: what each verb and action does to at least twenty."""

import csv
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from actions.shelves import get_inventory, shelves
from library import shelves as library
from library.books import BookStore
from library.models import Book
from shared.actions import RequestError
from shared.actions.registry import Registry
from tests.support.arm_parts import SUB, ArmApi, body_of, code, headers_by_verb, path_of
from tests.support.parts import request_context, sqlite

LIB = "Contoso.Library"
ONE, TWO = (path_of("shelves", name, namespace=LIB) for name in ("One", "two"))


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[ArmApi]:
    """The sample's shelves."""
    async with sqlite(tmp_path) as storage:
        yield ArmApi(Registry(resources=[shelves]), storage, tmp_path)


def book(number: int, shelf: str | None) -> Book:
    return Book(
        id=f"b{number:02}", title=f'Book, "{number}"', creators=["Ann", "Bob"], language="en", identifiers=[],
        published=None, publisher=None, chapters=1, words=number, cover=None, size_bytes=1, sha256="a" * 64,
        warnings=[], shelf=shelf,
    )  # fmt: skip


async def fill(api: ArmApi, shelf: str | None, numbers: range) -> None:
    books = BookStore(api.storage)
    for number in numbers:
        await books.put(book(number, shelf), source=f"s{number}")


async def act(api: ArmApi, path: str, body: Any = None) -> Any:
    """An action that is carried out; what its results answer."""
    started = await api("POST", path, body)
    assert started.status == 202, started.body
    await api.drain()
    result = await api("GET", started.headers["Location"])
    return body_of(result) if result.status == 200 else result.status


def test_headers() -> None:
    """The shelves have the headers of TypeSpec, but for the migration, which has both."""
    assert headers_by_verb(shelves) == {
        "write": (True, False, 10), "update": (False, True, 10), "delete": (False, True, 10),
        "startMigration/action": (True, True, 10), "restart/action": (False, True, 10),
        "exportInventory/action": (False, True, 10),
    }  # fmt: skip


async def test_migration(api: ArmApi) -> None:
    """Every book of the shelf stands on the target afterwards, the others where they were; it counts them."""
    await api.put(ONE)
    await api.put(TWO)
    await fill(api, ONE.upper(), range(24))
    await fill(api, None, range(24, 30))
    assert await act(api, f"{ONE}/startMigration", {"targetShelf": "TWO"}) == {"moved": 24, "skipped": 0}
    books = BookStore(api.storage)
    assert len(await books.on_shelf(TWO)) == 24
    assert await books.on_shelf(ONE) == []
    assert {b.shelf for b in await books.on_shelf(TWO)} == {TWO}
    assert await act(api, f"{ONE}/startMigration", {"targetShelf": "two"}) == {"moved": 0, "skipped": 0}


async def test_migration_up_to_the_capacity(api: ArmApi) -> None:
    """What does not fit is skipped and stays."""
    await api.put(ONE)
    await api.put(TWO, {"properties": {"capacity": 25}})
    await fill(api, ONE, range(22))
    await fill(api, TWO, range(30, 40))
    assert await act(api, f"{ONE}/startMigration", {"targetShelf": "two"}) == {"moved": 15, "skipped": 7}
    assert len(await BookStore(api.storage).on_shelf(ONE)) == 7


async def test_migration_that_runs_twice(api: ArmApi) -> None:
    """A second attempt after the first was lost half way tells the whole: what the run has moved."""
    await api.put(ONE)
    await api.put(TWO)
    await fill(api, ONE, range(20))
    await api("POST", f"{ONE}/startMigration", {"targetShelf": "two"})
    _, work = api.engine.started[-1]
    operation = await api.application.records.read(work.locator)
    assert operation is not None
    books = BookStore(api.storage)
    for number in range(8):
        assert await books.move(f"b{number:02}", source=ONE, target=TWO, by=operation.run_id)
    await api.drain()
    done = await api.application.records.read(work.locator)
    assert done is not None
    assert done.outcome is not None
    assert done.outcome.body is not None
    assert done.outcome.body.text == '{"moved":20,"skipped":0}'


async def test_restart(api: ArmApi) -> None:
    """bookCount and words are recomputed from the books, without content, and provisioningState stays."""
    await api.put(ONE, {"properties": {"description": "d"}})
    assert (await api.shown(ONE))["properties"]["bookCount"] == 0
    await fill(api, ONE.lower(), range(1, 23))
    for _ in range(2):
        assert await act(api, f"{ONE}/restart", {}) == 204
        properties = (await api.shown(ONE))["properties"]
        assert (properties["bookCount"], properties["words"]) == (22, 253)
        assert (properties["description"], properties["provisioningState"]) == ("d", "Succeeded")


async def test_export_inventory(api: ArmApi) -> None:
    """The CSV at the url has a line per book, with what needs quoting intact; another export takes its place."""
    await api.put(ONE)
    await fill(api, ONE, range(21))
    result = await act(api, f"{ONE}/exportInventory")
    assert result["count"] == 21
    base, _, inventory = result["url"].rpartition("/")
    assert base == "http://127.0.0.1:7071/inventory"
    content = await get_inventory(request_context(api.storage), _ref(inventory))
    rows = list(csv.DictReader(io.StringIO(content.body.decode())))
    assert [row["id"] for row in rows] == [f"b{n:02}" for n in range(21)]
    assert rows[3]["title"] == 'Book, "3"'
    assert rows[3]["creators"] == "Ann; Bob"
    with pytest.raises(RequestError, match="InventoryNotFound"):
        await get_inventory(request_context(api.storage), _ref("0" * 32))


def _ref(inventory: str) -> Any:
    from library.shelf_models import InventoryRef

    return InventoryRef(id=inventory)


async def test_delete(api: ArmApi) -> None:
    """A shelf with books is not deleted and says so with a real 409; an empty one goes, with its inventory."""
    await api.put(ONE)
    await fill(api, ONE, range(20))
    url = (await act(api, f"{ONE}/exportInventory"))["url"]
    started = await api("DELETE", ONE)
    await api.drain()
    assert code(await api("GET", started.headers["Location"])) == (409, "ShelfNotEmpty")
    assert (await api.shown(ONE))["properties"]["provisioningState"] == "Failed"
    await api.put(TWO)
    assert (await act(api, f"{ONE}/startMigration", {"targetShelf": "two"}))["moved"] == 20
    assert (await api("DELETE", ONE)).status == 202
    await api.drain()
    assert (await api("GET", ONE)).status == 404
    assert await library.read_inventory(url.rpartition("/")[2], api.storage) is None
    assert not await library.exists(ONE, api.application.services.resources)


async def test_targets_that_are_refused(api: ArmApi) -> None:
    """A shelf that is not there, the shelf itself, no name, another name: 400, and nothing is held."""
    await api.put(ONE)
    for body, expected in (
        ({"targetShelf": "two"}, "InvalidResourceReference"), ({"targetShelf": "oNE"}, "InvalidInput"),
        ({}, "InvalidInput"), ({"targetShelf": "a b"}, "InvalidResourceName"),
    ):  # fmt: skip
        assert code(await api("POST", f"{ONE}/startMigration", body)) == (400, expected)
    assert (await api("DELETE", ONE)).status == 202


async def test_what_books_ask_of_shelves(api: ArmApi) -> None:
    """A shelf is known by its ARM id in any case; anything else is no shelf."""
    await api.put(ONE)
    assert await library.exists(ONE.upper(), api.application.services.resources)
    for other in ("", "x", TWO, ONE.replace(SUB, "0" + SUB[1:]), ONE.replace("shelves", "presses"), f"{ONE}/restart"):
        assert not await library.exists(other, api.application.services.resources)
