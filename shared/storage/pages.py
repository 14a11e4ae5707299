"""Reading a range of rows page by page, and the tokens that say where the next page starts."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from shared.errors import StorageRefused
from shared.storage.ports import Row, Table

_PAGE = 1000


async def row_pages(
    table: Table,
    partition: str,
    *,
    lower: str = " ",
    upper: str = "~",
    columns: Sequence[str] | None = None,
    limit: int = _PAGE,
) -> AsyncGenerator[tuple[Row, ...]]:
    """The rows with `lower <= key < upper` in the order of their keys; no page is empty.

    Rows that are removed on the way do not disturb it, and neither do pages that the store leaves empty.
    """
    continuation: str | None = None
    while True:
        page = await table.page(
            partition, lower=lower, upper=upper, columns=columns, limit=limit, continuation=continuation
        )
        if page.rows:
            yield page.rows
        continuation = page.continuation
        if continuation is None:
            return


def encode_token(position: Any) -> str:
    """A position that JSON can hold, as a continuation."""
    return urlsafe_b64encode(json.dumps(position).encode()).decode()


def decode_token(text: str) -> Any:
    """What `encode_token` was given. Raises StorageRefused."""
    try:
        return json.loads(urlsafe_b64decode(text.encode()))
    except ValueError:
        raise StorageRefused("the continuation is not one of this table's") from None
