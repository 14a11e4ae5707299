"""What happens on the wire to a storage account: answers that get lost, servers that are not there."""

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from shared.errors import StorageAnswerLost, StorageError, StorageUnavailable
from shared.settings import StorageConnection
from shared.storage.azure_calls import CALL_TIMES
from shared.storage.blobs import AzureBlobs
from shared.storage.ports import Insert, Table
from shared.storage.tables import AzureTables
from shared.storage.writes import write_once
from tests.contract.test_tables import collect, etag_of, values_of
from tests.support.faults import FaultyTransport
from tests.support.stores import fresh_name

BOTH = pytest.mark.parametrize("broken_wire", ["broken", "500"], indirect=True)


@pytest.fixture
async def broken_wire(azurite: str, request: pytest.FixtureRequest) -> AsyncIterator[tuple[Table, FaultyTransport]]:
    """A table with one row, behind a transport that breaks when told to."""
    transport = FaultyTransport(request.param, times=0)
    tables = AzureTables(StorageConnection(connection_string=azurite), transport=transport)
    table = tables.table(fresh_name())
    await table.write("p", [Insert("k", {"n": 1})])
    yield table, transport
    await tables.aclose()


@BOTH
@pytest.mark.parametrize("count", [1, 3])
async def test_answers_lost_on_the_wire(broken_wire: tuple[Table, FaultyTransport], count: int) -> None:
    """A request that was done but not answered is StorageAnswerLost, and write_once finds that it was done."""
    table, transport = broken_wire
    transport.times = 1
    with pytest.raises(StorageAnswerLost):
        await table.write("p", [Insert(f"a{n}", {}) for n in range(count)])
    assert await table.read("p", "a0") is not None
    transport.times = 1
    etags = await write_once(table, "p", [Insert(f"b{n}", {}) for n in range(count)])
    assert etags == (await etag_of(table, "b0"), *[None] * (count - 1))


@BOTH
async def test_reads_are_repeated(broken_wire: tuple[Table, FaultyTransport]) -> None:
    """A read whose answer was lost is asked again."""
    table, transport = broken_wire
    transport.methods = ["GET"]
    transport.times = 2
    assert await values_of(table, "k") == {"n": 1}
    transport.times = 1
    assert len(await collect(table, "k", "l")) == 1


@pytest.mark.parametrize("trouble", ["closed port", "silent server", "unknown host"])
async def test_unreachable(trouble: str) -> None:
    """Where there is no store, every call says so, and none waits for longer than it is allowed to.

    Only a write that was sent stays open.
    """
    assert CALL_TIMES.control < 8
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if trouble == "silent server":
            listener.listen()
        host = "no-such-host.invalid" if trouble == "unknown host" else "127.0.0.1"
        end_point = f"http://{host}:{listener.getsockname()[1]}/a"
        connection = StorageConnection(
            connection_string="DefaultEndpointsProtocol=http;AccountName=a;AccountKey=a2V5;"
            f"TableEndpoint={end_point};BlobEndpoint={end_point}"
        )
        tables, blobs = AzureTables(connection), AzureBlobs(connection)
        table, container = tables.table("abc"), blobs.container("abc")
        outcomes = await asyncio.gather(
            table.write("p", [Insert("k", {})]),
            table.write("p", [Insert("k", {}), Insert("l", {})]),
            table.read("p", "k"),
            table.page("p", lower="a", upper="b"),
            container.info("b"),
            container.upload_url("b", lifetime_seconds=60),
            return_exceptions=True,
        )
        sent: type[StorageError] = StorageAnswerLost if trouble == "silent server" else StorageUnavailable
        assert [type(outcome) for outcome in outcomes] == [sent, sent, *[StorageUnavailable] * 4]
        await tables.aclose()
        await blobs.aclose()


@pytest.mark.parametrize("fault", ["broken", "500"])
@pytest.mark.parametrize("size", [10, 3_000_000])
@pytest.mark.parametrize("overwrite", [True, False])
async def test_blob_answers_lost(azurite: str, fault: Any, size: int, overwrite: bool) -> None:
    """A blob whose answer was lost was put once all the same, also where it must not exist before."""
    transport = FaultyTransport(fault, times=0)
    blobs = AzureBlobs(StorageConnection(connection_string=azurite), transport=transport)
    container = blobs.container(fresh_name())
    await container.put("first", b"x", content_type="text/plain")
    transport.times = 1 if size == 10 else 2
    info = await container.put("b", b"y" * size, content_type="text/plain", overwrite=overwrite)
    assert transport.times == 0
    assert info == await container.info("b")
    assert info.size == size
    transport.times = 1
    assert await container.delete("b") is True
    await blobs.aclose()
