"""The stores a storage contract test runs on: SQLite with files, and Azure Storage as Azurite speaks it."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from shared.settings import Settings
from shared.storage.factory import open_storage
from shared.storage.ports import Container, Storage, Table
from shared.storage.sqlite import SqliteTables


def settings_for(store: str, request: pytest.FixtureRequest) -> Settings:
    if store == "azurite":
        return Settings.read({"OPERATIONS_STORAGE": request.getfixturevalue("azurite")})
    directory = str(request.getfixturevalue("tmp_path"))
    return Settings.read({"OPERATIONS_STORE": "sqlite", "DATA_DIR": directory, "WEBSITE_HOSTNAME": "127.0.0.1:1"})


@pytest.fixture(params=["sqlite", "azurite"])
def store(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
async def storage(store: str, request: pytest.FixtureRequest) -> AsyncIterator[Storage]:
    opened = open_storage(settings_for(store, request))
    yield opened
    await opened.aclose()


def fresh_name() -> str:
    """A table or container no other test uses."""
    return "t" + uuid4().hex[:20]


@pytest.fixture
async def table(store: str, request: pytest.FixtureRequest) -> AsyncIterator[Table]:
    """A new table; `sqlite-empty-pages` is SQLite answering with an empty first page, as Azure may."""
    if store == "sqlite-empty-pages":
        tables = SqliteTables(request.getfixturevalue("tmp_path"), empty_pages=True)
        yield tables.table(fresh_name())
        await tables.aclose()
        return
    opened = open_storage(settings_for(store, request))
    yield opened.table(fresh_name())
    await opened.aclose()


@pytest.fixture
def container(storage: Storage) -> Container:
    return storage.container(fresh_name())
