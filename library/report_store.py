"""Reports in storage: a row each, in one partition, and the figures in full as a blob of the same name."""

from collections.abc import AsyncIterator
from contextlib import suppress

from library.book_rows import LAST, ids_beyond, short_etag
from library.catalog_models import Report
from shared.actions import Content, is_valid_id
from shared.storage import Container, Delete, Insert, Row, Scalar, Storage, StorageConflict, row_pages, write_once

_PARTITION = "reports"
_PAGE = 500


class ReportStore:
    """Reads and writes reports, which never change. The blob comes before the row, and goes before it.

    So the row leads to a blob that was not removed yet.
    """

    def __init__(self, storage: Storage) -> None:
        self._rows = storage.table("reports")
        self._files = storage.container("reports")

    async def get(self, report_id: str) -> Report | None:
        found = await self.find(report_id)
        return found[0] if found else None

    async def find(self, report_id: str) -> tuple[Report, str] | None:
        """The report and its etag."""
        row = await self._rows.read(_PARTITION, report_id) if is_valid_id(report_id) else None
        return _found(row) if row else None

    async def pages(self, *, after: str | None = None) -> AsyncIterator[list[tuple[Report, str]]]:
        """The reports beyond `after`, each with its etag, in the order of their ids."""
        async for rows in row_pages(self._rows, _PARTITION, lower=ids_beyond(after), upper=LAST, limit=_PAGE):
            yield [_found(row) for row in rows]

    async def put_content(self, report_id: str, content: bytes, content_type: str) -> None:
        await self._files.put(report_id, content, content_type=content_type)

    async def put(self, report: Report) -> Report:
        """Store a report; the stored one where its id is there already (an earlier attempt's)."""
        try:
            await write_once(self._rows, _PARTITION, [Insert(report.id, _columns(report))])
        except StorageConflict:
            stored = await self.get(report.id)
            if stored is None:
                raise
            return stored
        return report

    async def content(self, report_id: str) -> Content | None:
        """The figures of a report that is there."""
        if await self.get(report_id) is None:
            return None
        return await read_content(self._files, report_id)

    async def remove(self, report_id: str) -> None:
        """Remove a report, or what an attempt at one has left. May run twice from any point and ends the same."""
        await self._files.delete(report_id)
        if await self.get(report_id) is not None:
            with suppress(StorageConflict):
                await self._rows.write(_PARTITION, [Delete(report_id)])

    async def remove_unfinished(self, report_id: str) -> None:
        """Remove what attempts have left that never came to the row; a report that is there stays."""
        if await self.get(report_id) is None:
            await self._files.delete(report_id)


async def read_content(files: Container, name: str) -> Content | None:
    """A small blob as a whole, with its media type."""
    async with files.open(name) as reader:
        if reader is None:
            return None
        return Content(b"".join([chunk async for chunk in reader.chunks()]), reader.info.content_type)


def _columns(report: Report) -> dict[str, Scalar]:
    return {name: "" if value is None else value for name, value in report.model_dump(mode="json").items()}


def _found(row: Row) -> tuple[Report, str]:
    values = {name: None if value == "" else value for name, value in row.values.items()}
    return Report.model_validate(values, by_name=True, extra="ignore"), short_etag(row)
