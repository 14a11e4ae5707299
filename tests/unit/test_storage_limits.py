"""The limits of Azure Tables, and which of them the emulator knows."""

from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.data.tables.aio import TableServiceClient
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import StorageRefused
from shared.storage.limits import check_key, check_row, check_store_name, check_transaction
from shared.storage.ports import Change, Insert

pytestmark = pytest.mark.timeout(60)


@given(st.text())
def test_keys(key: str) -> None:
    """A key is taken exactly when it has none of the documented characters, is UTF-16 and is at most 1 KiB."""
    forbidden = [*"/\\#?", *map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0))]
    fits = not any(char in forbidden for char in key) and len(key.encode("utf-16-le", "surrogatepass")) <= 1024
    try:
        check_key(key)
    except StorageRefused:
        assert not fits
    else:
        assert fits


def test_missing_key() -> None:
    """None is no key."""
    with pytest.raises(StorageRefused):
        check_key(None)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["abc", "operations", "a" * 63, "a12"])
def test_store_names(name: str) -> None:
    """Names that are both table and container names are taken."""
    check_store_name(name)


@pytest.mark.parametrize("name", ["", "ab", "a" * 64, "Abc", "1abc", "a-b-c", "a_b_c", "tables", "../abc", "abc\n"])
def test_store_names_that_are_refused(name: str) -> None:
    """Names that are not both are refused."""
    with pytest.raises(StorageRefused):
        check_store_name(name)


def test_row_size() -> None:
    """A row is measured as the service measures it: the last byte decides."""
    # 4 + 2 * (len("p") + len("k")) = 8 bytes, and per column 8 + 2 * 2 (name) + 4 + 2 * length.
    values = {f"c{n}": "x" * 32752 for n in range(10)} | {f"d{n}": "x" * 32752 for n in range(6)}
    used = 8 + 16 * (8 + 4 + 4 + 2 * 32752)
    left = 1024 * 1024 - used
    assert left == 248
    exact = {**values, "zz": "x" * ((left - 16) // 2)}
    check_row("p", "k", exact)
    with pytest.raises(StorageRefused, match="1 MiB"):
        check_row("p", "k", {**exact, "zz": exact["zz"] + "x"})


def test_transaction_size() -> None:
    """What is measured is what is sent: a transaction whose upper bound is too large may still fit."""
    row = {f"a{n}": "x" * 30000 for n in range(16)}
    fitting: list[Change] = [Insert(f"k{n}", row) for n in range(8)]
    check_transaction("p", fitting)
    with pytest.raises(StorageRefused, match="4 MiB"):
        check_transaction("p", [*fitting, Insert("k8", row)])


AT_AZURITE: dict[str, tuple[dict[str, Any], int | None]] = {
    # The service answers 400 to all of these (413 where the body is too large); None: the emulator holds it.
    "key with a slash": ({"RowKey": "a/b"}, 500),
    "key with a tab": ({"RowKey": "a\tb"}, 400),
    "key with U+0080": ({"RowKey": "a\u0080b"}, 400),
    "key of 513 units": ({"RowKey": "k" * 513}, 400),
    "string above 64 KiB": ({"RowKey": "k", "a": "x" * 32769}, 400),
    "253 columns": ({"RowKey": "k", **{f"a{n}": 1 for n in range(253)}}, None),
    "row above 1 MiB": ({"RowKey": "k", **{f"a{n}": "x" * 32000 for n in range(17)}}, None),
    "column that is no identifier": ({"RowKey": "k", "a-b": 1}, None),
    "column of 256 characters": ({"RowKey": "k", "a" * 256: 1}, None),
}


@pytest.mark.parametrize("case", AT_AZURITE)
async def test_what_azurite_refuses(azurite: str, case: str) -> None:
    """The emulator refuses most of what we do; where it is laxer than the documentation, our own check stands alone."""
    entity, expected = AT_AZURITE[case]
    status: int | None = None
    async with TableServiceClient.from_connection_string(azurite, retry_total=0) as service:
        table = await service.create_table_if_not_exists("limits")
        try:
            await table.upsert_entity({"PartitionKey": "p", **entity})
        except HttpResponseError as error:
            status = error.status_code
    assert status == expected
