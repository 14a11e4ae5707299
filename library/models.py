"""The sample's resources as they appear on the wire."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic.alias_generators import to_camel

from shared.actions import ID_PATTERN, Model, read_only

_DATE = r"^[12][0-9]{3}(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01]))?)?$"
"""`YYYY`, `YYYY-MM` or `YYYY-MM-DD`: what the EPUB reader yields."""

Text = Annotated[str, Field(min_length=1, max_length=500)]


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


class FileUploadStart(Model):
    """What a caller says about a file that is no book, such as a CSV of books. `size` in bytes."""

    file_name: str = Field(min_length=1, max_length=255)
    size: int | None = Field(None, ge=1)


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
    """A stored book, with its EPUB or without one.

    `words` counts the text of the EPUB's `chapters`; of a book without one it is what its maker says. `size_bytes` and
    `sha256` are those of the EPUB: 0 and null where there is none. `published` is a year, a month or a day. `shelf` is
    the ARM id of the shelf it stands on, as it was given.
    """

    id: str = Field(pattern=rf"^{ID_PATTERN}$")
    title: str = Field(max_length=500)
    creators: list[Text] = Field(default_factory=list[Text], max_length=25)
    language: str | None = Field(default=None, max_length=500)
    identifiers: list[Text] = Field(default_factory=list[Text], max_length=25)
    published: str | None = Field(default=None, pattern=_DATE)
    publisher: str | None = Field(default=None, max_length=500)
    chapters: int = read_only(0)
    words: int = Field(default=0, ge=0, le=10**12)
    cover: BookCover | None = read_only()
    size_bytes: int = read_only(0)
    sha256: str | None = read_only()
    warnings: list[BookWarning] = read_only([])
    shelf: str | None = read_only()


class PlaceBook(Model):
    """What a book is to be, as a whole: what is left out is as the EPUB has it, and without `shelf` it is on none.

    With `transaction_id` the EPUB is the one uploaded there, else the stored one.
    """

    id: str
    title: str | None = Field(None, min_length=1, max_length=500)
    creators: list[Text] | None = Field(None, max_length=25)
    shelf: str | None = Field(None, min_length=1, max_length=1000)
    transaction_id: str | None = Field(None, min_length=1, max_length=64)


class ImportItem(Model):
    """One uploaded EPUB and the book it becomes. `sha256` as in UploadFinish."""

    id: str = Field(pattern=rf"^{ID_PATTERN}$")
    transaction_id: str = Field(min_length=1, max_length=64)
    sha256: str | None = Field(None, pattern=r"^[0-9a-fA-F]{64}$")


class ImportManifest(Model):
    """Up to 1000 uploads, each for a book of its own."""

    items: list[ImportItem] = Field(min_length=1, max_length=1000)

    @model_validator(mode="after")
    def _each_once(self) -> "ImportManifest":
        for name in ("id", "transaction_id"):
            values: list[str] = [getattr(item, name).lower() for item in self.items]
            if len(set(values)) != len(values):
                raise ValueError(f"two items have the same {to_camel(name)}")
        return self


class ImportProblem(Model):
    """Why a book was not imported."""

    code: str
    message: str


class ImportedItem(Model):
    """What became of one item: `Succeeded`, or `Failed` with its error."""

    id: str
    transaction_id: str
    status: Literal["Succeeded", "Failed"]
    error: ImportProblem | None = None


class ImportOutcome(Model):
    """`items` in the order of the manifest."""

    imported: int
    failed: int
    items: list[ImportedItem]


class RebuildIndex(Model):
    """`slice_books` of them are indexed in one slice."""

    slice_books: int = Field(1000, ge=1, le=100_000)


class RebuiltIndex(Model):
    """An index that is searched from now on, of so many books."""

    books: int


class CountWords(Model):
    """Which words of a book are the most frequent. `sha256` is that of the book, in hex: the file that is meant."""

    id: str
    sha256: str = Field(pattern=r"^[0-9a-fA-F]{64}$")
    top: int = Field(20, ge=1, le=1000)


class WordCount(Model):
    """A word, as it is searched for, and how often it occurs."""

    word: str
    count: int


class WordCounts(Model):
    """How many words the text has, how many different ones, and the most frequent of these."""

    total: int
    distinct: int
    words: list[WordCount]


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
