"""Reports in storage: a row each, in one partition, and the figures in full as a blob of the same name."""

from collections.abc import AsyncGenerator
from contextlib import suppress

from library.book_rows import FIRST, LAST, short_etag
from library.catalog_models import Report
from library.ranges import behind
from shared.actions.models import Content
from shared.errors import StorageConflict
from shared.operations.ids import is_valid_id
from shared.operations.rows import write_time
from shared.storage.ports import Container, Delete, Insert, Row, Scalar, Storage
from shared.storage.row_pages import row_pages
from shared.storage.write_once import write_once

_PARTITION = "reports"
_PAGE = 500


class ReportStore:
    """Reads and writes reports, which never change; the blob comes before the row and goes after it."""

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

    async def pages(self, *, after: str | None = None) -> AsyncGenerator[list[tuple[Report, str]], None]:
        """The reports beyond `after`, each with its etag, in the order of their ids."""
        lower = FIRST if after is None else behind(after)
        async for rows in row_pages(self._rows, _PARTITION, lower=lower, upper=LAST, limit=_PAGE):
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
        if await self.get(report_id) is not None:
            with suppress(StorageConflict):
                await self._rows.write(_PARTITION, [Delete(report_id)])
        await self._files.delete(report_id)


async def read_content(files: Container, name: str) -> Content | None:
    """A small blob as a whole, with its media type."""
    async with files.open(name) as reader:
        if reader is None:
            return None
        return Content(b"".join([chunk async for chunk in reader.chunks()]), reader.info.content_type)


def _columns(report: Report) -> dict[str, Scalar]:
    values = report.model_dump(mode="json")
    values["created_date_time"] = write_time(report.created_date_time)
    return {name: "" if value is None else value for name, value in values.items()}


def _found(row: Row) -> tuple[Report, str]:
    values = {name: None if value == "" else value for name, value in row.values.items()}
    return Report.model_validate(values, by_name=True, extra="ignore"), short_etag(row.etag)
