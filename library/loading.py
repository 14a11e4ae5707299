"""Loading a CSV of many books: staged as a whole, published by one write. Any attempt may follow any other.

A load begins with a copy of the published set and writes the file's books over it, so that readers see the set before
or the set after, and nothing between. Books that were stored one by one stay as they are and win over those of a set.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from library.book_rows import OWN, copied, set_columns
from library.catalog_models import ProcessFile, ProcessResult
from library.csv_books import Batch, read_books
from library.ranges import behind
from library.sets import BookSets, Pointer, Published, set_name
from library.tombstones import sweep
from library.undivided import past_cancel
from library.uploads import Upload, UploadStore, changed, check_size, missing_file
from shared.actions.context import ActionContext
from shared.errors import ActionFailed, StorageConflict, StorageError, StorageRefused
from shared.storage.limits import MAX_CHANGES
from shared.storage.ports import Storage, Upsert
from shared.storage.row_pages import row_pages

_TRIES = 3
_DISCARD_SECONDS = 10
_COPIED, _READ = 30.0, 95.0
"""Percent of progress once the published set was copied, and once the file was read."""


async def load_books(
    context: ActionContext, request: ProcessFile, storage: Storage, *, max_bytes: int
) -> ProcessResult:
    """Publish the books of an uploaded CSV, as `library.csv_books` describes it, beside those that are there.

    Raises ActionFailed: those of an upload, InvalidCsv with the line, LoadConflict. Nothing is published then. A cancel
    that comes while the set is being published, or after that, comes too late.
    """
    load = (await BookSets(storage).pointer()).by(context.run_id)
    if load is None:
        uploads = UploadStore(storage)
        upload = await uploads.find(request.file_id, book_id="", owner=context.owner, run=context.run_id)
        if upload.outcome:
            return ProcessResult.model_validate_json(upload.outcome)
        upload = await _settled(uploads, upload, context, max_bytes)
        load = await _Load(context, upload, storage, BookSets(storage)).publish()
    return await past_cancel(_finish(context, request, load, storage))


async def _settled(uploads: UploadStore, upload: Upload, context: ActionContext, max_bytes: int) -> Upload:
    """The upload, with which of the files that were sent to its URL is meant."""
    async with uploads.files.open(upload.id) as reader:
        if reader is None:
            raise missing_file()
        check_size(reader, limit=max_bytes, announced=upload.size)
        etag = reader.info.etag
    return await uploads.pin(upload, etag, run=context.run_id)


@dataclass(frozen=True, slots=True)
class _Load:
    """One attempt at a load."""

    context: ActionContext
    upload: Upload
    storage: Storage
    sets: BookSets

    async def publish(self) -> Published:
        """Stage a set and publish it; start over where another load was published first."""
        sets, run = self.sets, self.context.run_id
        for _ in range(_TRIES):
            base = await sets.pointer()
            if load := base.by(run):
                return load  # An attempt that was given up for lost has done it.
            name = set_name(base, run=run, attempt=self.context.attempt)
            try:
                await sets.begin(name)
                records = await self._stage(name, base)
                books = [len(rows) async for rows in sets.pages(name, columns=["id"])]
            except (Exception, asyncio.CancelledError):
                await self._discard(name)
                raise
            load = Published(run, records, sum(books))
            self.context.report_progress(percent=_READ, done=records, message="Publishing the books")
            # Where it is not known whether it was published, what was staged stays.
            with suppress(StorageConflict):
                await past_cancel(sets.publish(name, base, load))
                return load
            await self._discard(name)
        raise ActionFailed("LoadConflict", "Other loads kept being published first; try again.", retryable=True)

    async def _stage(self, name: str, base: Pointer) -> int:
        """Fill the set `name`; how many books the file has."""
        # One transaction after another: a partition takes 2,000 rows a second, which is about what this makes.
        if base.name:
            await self._copy(name, base)
        records = 0
        try:
            async with self.storage.container("uploads").open(self.upload.id, if_match=self.upload.pinned) as reader:
                if reader is None:
                    raise missing_file()
                size = max(reader.info.size, 1)
                async for batch in read_books(reader.chunks(), size=MAX_CHANGES):
                    await self._write(name, batch)
                    records = batch.records
                    percent = _COPIED + (_READ - _COPIED) * min(batch.bytes_read / size, 1)
                    self.context.report_progress(percent=percent, done=records, message=f"Read {records} books")
        except StorageConflict:
            raise changed() from None
        return records

    async def _write(self, name: str, batch: Batch) -> None:
        # A transaction takes a key once: the later line wins here as it does over an earlier batch.
        rows = {book.id: Upsert(book.id, set_columns(book, name)) for book in batch.books}
        try:
            await self.sets.stage(name, list(rows.values()))
        except StorageRefused:
            first = batch.records - len(batch.books) + 1
            message = f"One of the books {first} to {batch.records} of the file is too large to be stored."
            raise ActionFailed("InvalidCsv", message, target="fileId") from None

    async def _copy(self, name: str, base: Pointer) -> None:
        """Copy the published set, without the books that were removed from it."""
        own, done = self.storage.table("books"), 0
        async for rows in self.sets.pages(base.name):
            lower, upper = rows[0].key, behind(rows[-1].key)
            hidden: dict[str, object] = {}
            async for page in row_pages(own, OWN, lower=lower, upper=upper, columns=["hides"]):
                hidden.update({row.key: row.values.get("hides") for row in page})
            kept = [Upsert(row.key, copied(row)) for row in rows if hidden.get(row.key) != row.values["origin"]]
            for at in range(0, len(kept), MAX_CHANGES):
                await self.sets.stage(name, kept[at : at + MAX_CHANGES])
            done += len(rows)
            percent = _COPIED * min(done / max(base.books, 1), 1)
            self.context.report_progress(percent=percent, message="Copying the published books")

    async def _discard(self, name: str) -> None:
        """Remove what was staged, as far as there is time; the next load that is published removes the rest."""
        try:
            async with asyncio.timeout(_DISCARD_SECONDS):
                await self.sets.give_up(name)
                await self.sets.remove(name)
        except (StorageError, TimeoutError) as error:
            extra = {"action": "set_not_removed"}
            self.context.logger.warning("A staged set was not removed: %s", error, extra=extra)


async def _finish(context: ActionContext, request: ProcessFile, load: Published, storage: Storage) -> ProcessResult:
    """Close the upload, then remove what the new set has replaced."""
    result = ProcessResult(file_id=request.file_id, record_count=load.records, book_count=load.books)
    uploads = UploadStore(storage)
    try:
        upload = await uploads.find(request.file_id, book_id="", owner=context.owner, run=context.run_id)
        if not upload.outcome:
            await uploads.close_file(upload, result.model_dump_json(), run=context.run_id)
    except ActionFailed as failure:
        # It is published: that somebody else has loaded the same file, or its time is over, changes nothing.
        context.logger.info("The upload was not closed: %s", failure, extra={"action": "upload_not_closed"})
    try:
        await uploads.files.delete(request.file_id)
        await BookSets(storage).remove_old()
        await sweep(storage)
    except StorageError as error:
        context.logger.warning("What was replaced was not removed: %s", error, extra={"action": "set_not_removed"})
    return result
