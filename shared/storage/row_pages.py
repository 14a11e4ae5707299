"""Reading a range of rows page by page."""

from collections.abc import AsyncIterator, Sequence

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
) -> AsyncIterator[tuple[Row, ...]]:
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
