"""The sample's resources as they appear on the wire."""

from datetime import datetime

from pydantic import Field

from shared.actions.models import Model
from shared.operations.ids import ID_PATTERN


class UploadStart(Model):
    """What a caller says about the file it is going to upload. `size` in bytes."""

    id: str
    file_name: str = Field(min_length=1, max_length=255)
    size: int | None = Field(None, ge=1)


class UploadStarted(Model):
    """Where the file goes: `PUT` it to `upload_url` before `expires_at`, then finish the transaction."""

    transaction_id: str
    upload_url: str
    expires_at: datetime


class UploadFinish(Model):
    """`sha256` in hex, of the whole file, where the caller wants it checked."""

    id: str
    transaction_id: str = Field(min_length=1, max_length=64)
    sha256: str | None = Field(None, pattern=r"^[0-9a-fA-F]{64}$")


class BookWarning(Model):
    """A deviation of the file that was read around."""

    code: str
    message: str


class BookCover(Model):
    """The cover image. `size` in bytes, `sha256` in hex."""

    media_type: str
    size: int
    sha256: str


class Book(Model):
    """A stored book. `words` counts the text of its `chapters`; `size_bytes` and `sha256` are those of the file."""

    id: str
    title: str
    creators: list[str]
    language: str | None
    identifiers: list[str]
    published: str | None
    publisher: str | None
    chapters: int
    words: int
    cover: BookCover | None
    size_bytes: int
    sha256: str
    warnings: list[BookWarning]


class BookRef(Model):
    """One book, by its id."""

    id: str


class ListBooks(Model):
    """A page of books. `skip_token` comes from the page before."""

    top: int = Field(100, ge=1, le=1000)
    skip_token: str | None = Field(None, pattern=rf"^{ID_PATTERN}$")


class BookList(Model):
    """`next_link` is absolute; null on the last page."""

    value: list[Book]
    next_link: str | None
