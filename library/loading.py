"""Loading a CSV of many books: upserts in batches, each a transaction. Any attempt may follow any other.

A batch is there for readers once it is written, and stays where the load fails or is canceled later. A line makes a
book, or changes one that a load has brought. A book that was stored, or changed since, by itself is left as it is:
a line knows neither its EPUB nor its shelf.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from library.book_rows import LOADED, PARTITION, book_columns, is_tombstone
from library.books import BookStore
from library.catalog_models import ProcessFile, ProcessResult
from library.csv_books import Batch, read_books
from library.models import Book
from library.shielding import finish_then_cancel, ignore_cancel
from library.uploads import Upload, UploadStore, changed, check_size, missing_file
from shared.actions import ActionContext, ActionFailed
from shared.storage import (
    MAX_CHANGES,
    Insert,
    Replace,
    Scalar,
    Storage,
    StorageConflict,
    StorageRefused,
    backoff,
    write_once,
)

_TRIES = 12
_READ = 95.0
"""Percent of progress once the file was read."""


async def load_books(
    context: ActionContext,
    request: ProcessFile,
    storage: Storage,
    now: datetime,
    *,
    max_bytes: int,
    neutralized: bool = True,
) -> ProcessResult:
    """Store the books of an uploaded CSV, as `library.csv_books` describes it, beside those that are there.

    Raises ActionFailed: those of an upload, InvalidCsv with the line, LoadConflict. The batches before stay then. A
    cancel that comes after the last batch comes too late.
    """
    uploads = UploadStore(storage, now)
    upload = await uploads.find(request.file_id, book_id="", owner=context.owner, run_id=context.run_id)
    if upload.outcome:
        await uploads.files.delete(upload.id)
        return ProcessResult.model_validate_json(upload.outcome)
    upload = await _pinned(uploads, upload, context, max_bytes)
    load = _Load(context, uploads, upload, BookStore(storage), neutralized)
    records = await load.write_books()
    return await ignore_cancel(load.finish(records))


async def _pinned(uploads: UploadStore, upload: Upload, context: ActionContext, max_bytes: int) -> Upload:
    """The upload, with which of the files that were sent to its URL is meant."""
    async with uploads.files.open(upload.id) as reader:
        if reader is None:
            raise missing_file()
        check_size(reader, limit=max_bytes, announced=upload.size)
        etag = reader.info.etag
    return await uploads.pin(upload, etag, run_id=context.run_id)


@dataclass(frozen=True, slots=True)
class _Load:
    """One attempt at a load."""

    context: ActionContext
    uploads: UploadStore
    upload: Upload
    books: BookStore
    neutralized: bool

    async def write_books(self) -> int:
        """Write the books of the file; how many it has."""
        records = 0
        try:
            async with self.uploads.files.open(self.upload.id, if_match=self.upload.pinned) as reader:
                if reader is None:
                    raise missing_file()
                size = max(reader.info.size, 1)
                # One transaction after another: a partition takes 2,000 rows a second, which is about what this makes.
                batches = read_books(reader.chunks(), size=MAX_CHANGES, neutralized=self.neutralized)
                async for batch in batches:
                    await self._write(batch)
                    records = batch.records
                    percent = _READ * min(batch.bytes_read / size, 1)
                    self.context.report_progress(percent=percent, done=records, message=f"Loaded {records} books")
        except StorageConflict:
            raise changed() from None
        return records

    async def finish(self, records: int) -> ProcessResult:
        """Close the upload with the result, then remove its file."""
        count = await self.books.count_loaded()
        result = ProcessResult(file_id=self.upload.id, record_count=records, book_count=count)
        try:
            await self.uploads.close_file(self.upload, result.model_dump_json(), run_id=self.context.run_id)
        except ActionFailed as failure:
            # The books are stored: that another run has loaded the same file, or its time is over, changes nothing.
            self.context.logger.info("The upload was not closed: %s", failure, extra={"event": "upload_not_closed"})
        await self.uploads.files.delete(self.upload.id)
        return result

    async def _write(self, batch: Batch) -> None:
        try:
            await _upsert(self.books, batch.books)
        except StorageRefused:
            first = batch.records - len(batch.books) + 1
            message = f"One of the books {first} to {batch.records} of the file is too large to be stored."
            raise ActionFailed("InvalidCsv", message, target="fileId") from None


async def _upsert(books: BookStore, batch: Sequence[Book]) -> None:
    """Write a batch in one transaction, each change conditional on what was read of the row.

    Most files are of new books, so that the rows are read only where one is there already. What is stored as the batch
    has it is not written again. Raises StorageRefused for a row that no table holds.
    """
    # A transaction takes a key once: the later line wins here as it does over an earlier batch.
    rows = {book.id: {**book_columns(book), **LOADED} for book in batch}
    changes: list[Insert | Replace] = [Insert(key, values) for key, values in rows.items()]
    for attempt in range(_TRIES):
        await backoff(attempt)
        try:
            if changes:
                # A cancel waits for it: a row that lands late would surprise whoever tidies up after the cancel.
                await finish_then_cancel(write_once(books.rows, PARTITION, changes))
            return
        except StorageConflict:
            changes = await _conditional(books, rows)
        except StorageRefused:
            # Too large for one transaction perhaps.
            if len(batch) == 1:
                raise
            await _upsert(books, batch[: len(batch) // 2])
            await _upsert(books, batch[len(batch) // 2 :])
            return
    raise ActionFailed("LoadConflict", "Others kept changing the same books; try again.", retryable=True)


async def _conditional(books: BookStore, rows: Mapping[str, dict[str, Scalar]]) -> list[Insert | Replace]:
    """The changes that lead from what is stored now to `rows`, except for books that are none of a load's."""
    stored = await books.read_rows(list(rows))
    changes: list[Insert | Replace] = []
    for key, values in rows.items():
        row = stored.get(key)
        if row is not None and is_tombstone(row):
            await books.clear(row)
            row = None
        if row is None:
            changes.append(Insert(key, values))
        elif row.values.get("loaded") and any(row.values.get(name) != value for name, value in values.items()):
            changes.append(Replace(key, values, if_match=row.etag))
    return changes
