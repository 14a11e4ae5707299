"""Reads of entity sets within the time that a request has."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace
from typing import cast

import pytest

from shared.actions import Model, ODataService
from shared.actions.context import RequestContext, Services
from shared.actions.odata.entities import Stored
from shared.contracts.http import Request
from shared.contracts.odata.query.options import parse_query
from shared.contracts.odata.targets import resolve
from shared.endpoints.odata.execution import Execution
from shared.endpoints.odata.reads import read
from shared.errors import RequestError
from shared.system_clock import SystemClock


class Drop(Model):
    id: str


class Ocean:
    """Entities without an end: they come a page at a time, or never, or the store says that it timed out."""

    def __init__(self, *, page: int = 100, error: Exception | None = None) -> None:
        self.page = page
        self.error = error
        self.closed = False

    async def scan(self, *, after: str | None = None) -> AsyncIterator[Sequence[Stored]]:
        number = 0
        try:
            while True:
                if self.error is not None:
                    raise self.error
                if self.page == 0:
                    await asyncio.sleep(60)
                yield [Stored(Drop(id=f"d{number + i:09}"), "1") for i in range(self.page)]
                number += self.page
        finally:
            self.closed = True

    async def get(self, key: str) -> Stored | None:
        return Stored(Drop(id=key), "1")


SERVICES = cast(Services, SimpleNamespace(clock=SystemClock()))
"""A read needs no more of an app than the time."""


async def ask(ocean: Ocean, path: str, *, seconds: float, **query: str) -> int:
    """The status of the answer to a request that has so many seconds."""
    service = ODataService("Sea")
    service.entity_set("Drops", Drop, key="id", source=lambda: ocean)
    options = {f"${name}": value for name, value in query.items()}
    request = Request(method="GET", url=f"http://localhost{path}", query=options)
    until = time.monotonic() + seconds
    context = RequestContext(owner="", base_url="http://localhost", api_version="", services=SERVICES)
    execution = Execution(context=context, engine=None, until=until, longest=seconds)
    return (await read(request, resolve(service, path), execution)).status


@pytest.mark.parametrize(
    ("path", "query", "page"),
    [
        ("/odata/Drops/$count", {}, 100),
        ("/odata/Drops", {"count": "true", "filter": "id eq 'd' or id eq 'e'"}, 100),
        ("/odata/Drops", {"orderby": "id desc"}, 100),
        ("/odata/Drops", {}, 0),
    ],
)
async def test_a_read_without_an_end(path: str, query: dict[str, str], page: int) -> None:
    """It ends as 400 that says how to ask for less once the request's time is over, and reads no further."""
    ocean = Ocean(page=page)
    began = time.monotonic()
    with pytest.raises(RequestError) as error:
        await ask(ocean, path, seconds=0.2, **query)
    assert 0.2 <= time.monotonic() - began < 60
    assert (error.value.status, error.value.code) == (400, "QueryTooExpensive")
    assert "0.2 s" in error.value.message
    assert "narrow it" in error.value.message
    assert ocean.closed


async def test_a_read_in_time() -> None:
    """A page, and one entity, of a set without an end are there at once."""
    assert await ask(Ocean(), "/odata/Drops", seconds=20, top="5") == 200
    assert await ask(Ocean(), "/odata/Drops('d')", seconds=20) == 200


async def test_a_store_that_times_out() -> None:
    """The store's own TimeoutError is no fault of the query's."""
    with pytest.raises(TimeoutError, match="the store"):
        await ask(Ocean(error=TimeoutError("the store")), "/odata/Drops", seconds=20)


@pytest.mark.parametrize("path", ["/odata/Drops", "/odata/Drops/$count"])
async def test_a_long_expression_is_parsed_aside(path: str) -> None:
    """The event loop has little to do with the parsing of an expression, which others do not wait for."""
    query = {"$filter": " or ".join(["(id add 1) eq 0"] * 200)}
    began = time.thread_time()
    with pytest.raises(RequestError):
        parse_query(query, ODataService("Sea").entity_set("Drops", Drop, key="id", source=Ocean).type)
    parsing = time.thread_time() - began
    began = time.thread_time()
    with pytest.raises(RequestError, match="add does not take"):
        await ask(Ocean(), path, seconds=20, filter=query["$filter"])
    assert time.thread_time() - began < parsing / 3
