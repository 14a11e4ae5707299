"""Upload transactions: a blob somebody may write for a while, and who finished it."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta

from library.book_rows import book_columns, book_from_columns
from library.models import Book
from shared.actions import ActionFailed, Model, is_valid_id
from shared.storage import (
    BlobReader,
    Container,
    Delete,
    Insert,
    Merge,
    Row,
    Scalar,
    Storage,
    StorageConflict,
    write_once,
)

LIFETIME = timedelta(hours=1)
_LATE = timedelta(hours=1)
"""How long after its expiry a file may still arrive, sent by a slow connection."""


class Upload(Model):
    """A transaction. `closed_by` is the run that finished it, with the book, or the JSON, that it returned.

    `book_id` is empty where the file is no book.
    """

    id: str
    book_id: str
    owner: str
    file_name: str
    size: int | None
    expires: datetime
    pinned: str = ""
    """ETag of the file that was found sound: from then on it is the only one that may be stored."""
    closed_by: str = ""
    book: Book | None = None
    outcome: str = ""
    etag: str = ""


class UploadStore:
    """Transactions in a table, uploaded files in the container `uploads` under the transaction's id."""

    def __init__(self, storage: Storage, now: datetime) -> None:
        self._now = now
        self._rows = storage.table("uploads")
        self.files: Container = storage.container("uploads")

    async def begin(self, upload: Upload) -> Upload:
        """Store a new transaction; the stored one where its id is there already (an earlier attempt's)."""
        values = upload.model_dump(include={"book_id", "owner", "file_name"})
        values |= {"size": upload.size or 0, "expires": upload.expires.isoformat()}
        try:
            await write_once(self._rows, _partition(upload.id), [Insert(upload.id, values)])
        except StorageConflict:
            row = await self._rows.read(_partition(upload.id), upload.id)
            if row is None:
                raise
            return _from_row(row)
        return upload

    async def abandon(self, upload_id: str) -> datetime | None:
        """Remove a transaction, with the file that was sent and never taken; or say when that may be done.

        Its URL takes a file until it expires, and may then still be receiving one.
        """
        row = await self._rows.read(_partition(upload_id), upload_id)
        if row is None:
            return None
        if self._now < (over := _from_row(row).expires + _LATE):
            return over
        await self.files.delete(upload_id)
        with suppress(StorageConflict):
            await self._rows.write(_partition(upload_id), [Delete(upload_id)])
        return None

    async def url(self, upload: Upload) -> str:
        left = upload.expires - self._now
        return await self.files.upload_url(upload.id, lifetime_seconds=max(1, int(left.total_seconds())))

    async def find(self, upload_id: str, *, book_id: str, owner: str, run_id: str) -> Upload:
        """The transaction, if `run_id` may finish it or has finished it.

        Raises ActionFailed: UploadNotFound (also for another book's or caller's), UploadAlreadyFinished,
        UploadExpired.
        """
        target, what = ("transactionId", "upload for this book") if book_id else ("fileId", "upload of a file")
        # The id is whatever a caller sent: what is not one of ours is not looked up.
        row = await self._rows.read(_partition(upload_id), upload_id) if is_valid_id(upload_id) else None
        upload = _from_row(row) if row else None
        if upload is None or upload.book_id != book_id or upload.owner != owner:
            raise ActionFailed("UploadNotFound", f"There is no such {what}; start one.", target=target)
        if upload.closed_by and upload.closed_by != run_id:
            raise ActionFailed(
                "UploadAlreadyFinished", "This upload was finished before; start a new one.", target=target
            )
        if not upload.closed_by and self._now >= upload.expires:
            await self.files.delete(upload.id)
            raise ActionFailed("UploadExpired", "This upload was not finished in time; start a new one.")
        return upload

    async def pin(self, upload: Upload, etag: str, *, run_id: str) -> Upload:
        """Settle which bytes this transaction is about, before anything of them is stored.

        The URL stays writable until it expires, so a later attempt could find another file under it. Raises
        ActionFailed UploadChanged when another file was settled on.
        """
        while not upload.pinned:
            try:
                change = Merge(upload.id, {"pinned": etag}, if_match=upload.etag)
                written = await write_once(self._rows, _partition(upload.id), [change])
            except StorageConflict:
                upload = await self.find(upload.id, book_id=upload.book_id, owner=upload.owner, run_id=run_id)
            else:
                return upload.model_copy(update={"pinned": etag, "etag": written[0] or ""})
        if upload.pinned != etag:
            raise changed()
        return upload

    async def close(self, upload: Upload, book: Book, *, run_id: str) -> None:
        """Mark the transaction as finished by `run_id`. Raises ActionFailed when another run was faster."""
        await self._close(upload, run_id, {f"result_{name}": value for name, value in book_columns(book).items()})

    async def close_file(self, upload: Upload, outcome: str, *, run_id: str) -> None:
        """The same for a file that is no book; `outcome` is JSON of at most 32 Ki characters."""
        await self._close(upload, run_id, {"outcome": outcome})

    async def _close(self, upload: Upload, run_id: str, result: Mapping[str, Scalar]) -> None:
        values: dict[str, Scalar] = {"closed_by": run_id, **result}
        try:
            await write_once(self._rows, _partition(upload.id), [Merge(upload.id, values, if_match=upload.etag)])
        except StorageConflict:
            stored = await self.find(upload.id, book_id=upload.book_id, owner=upload.owner, run_id=run_id)
            if not stored.closed_by:
                raise


def changed() -> ActionFailed:
    return ActionFailed(
        "UploadChanged", "The uploaded file was replaced while it was being stored; start a new upload."
    )


def missing_file() -> ActionFailed:
    message = "There is no file: PUT it to the uploadUrl first. It is gone once another operation has taken it."
    return ActionFailed("UploadMissing", message)


def check_size(reader: BlobReader, *, limit: int, announced: int | None) -> None:
    """Raises ActionFailed for a file that is empty, too large, or not as long as was announced."""
    size = reader.info.size
    if size > limit:
        raise ActionFailed("UploadTooLarge", f"The file has {size} bytes; the limit is {limit}.")
    if announced is not None and size != announced:
        raise ActionFailed("SizeMismatch", f"The file has {size} bytes; {announced} were announced.")


def _partition(upload_id: str) -> str:
    return upload_id[:1].lower()


def _from_row(row: Row) -> Upload:
    """An upload as `begin`, `pin` and `close` have written it."""
    columns = {name.removeprefix("result_"): value for name, value in row.values.items() if name.startswith("result_")}
    values = {**row.values, "id": row.key, "size": row.values["size"] or None, "etag": row.etag}
    return Upload.model_validate({**values, "book": book_from_columns(columns) if columns else None}, by_name=True)
