"""An OData service with a value of every type: what the tests of its payloads and of its metadata look at."""

from collections.abc import AsyncIterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from shared.actions import ActionContext, Model, RequestContext
from shared.actions.models import read_only
from shared.actions.odata.entities import EntityChange, Stored
from shared.actions.odata.routes import Binding
from shared.actions.odata.service import EntitySet, ODataOperation, ODataService


class Cover(Model):
    media_type: str
    size: int


class Warned(Model):
    code: str
    cover: Cover | None = None


class Book(Model):
    id: str = Field(min_length=1, max_length=60)
    title: str = Field(min_length=1)
    creators: list[str] = Field(default_factory=list[str])
    language: str | None = None
    kind: Literal["novel", "poem"] = "novel"
    in_print: bool = True
    words: int = Field(0, ge=0)
    rating: float | None = None
    price: Decimal | None = None
    printed: date | None = None
    added: datetime | None = None
    opens: time | None = None
    reading_time: timedelta | None = None
    isbn_id: UUID | None = None
    scores: list[int] = Field(default_factory=list[int])
    cover: Cover | None = None
    warnings: list[Warned] = Field(default_factory=list[Warned])
    sha256: str | None = read_only()
    size_bytes: int = read_only(0)


class Report(Model):
    id: str
    created: datetime
    books: int


class ReportRequest(Model):
    start_date: date | None = None
    must_say: str | None
    format: Literal["json", "csv"] = "json"
    limit: int


class ExportBook(Model):
    id: str = Field(pattern=r"^[a-z-]+$")
    format: str
    cover: Cover | None = None


class ExportResult(Model):
    id: str
    took: timedelta
    sizes: list[int]


class SummaryOf(Model):
    id: str
    sentences: int
    ratio: float = 1.0
    exact: bool = False
    tone: str | None = None
    since: date | None = None
    at: datetime | None = None
    hour: time | None = None
    within: timedelta | None = None
    who: UUID | None = None
    price: Decimal | None = None


class Counted(Model):
    language: str


class Store:
    """Locks nothing: who reads and writes entities is of no interest here."""

    max_changes = 1

    async def scan(self, *, after: str | None = None) -> AsyncIterator[Sequence[Stored]]:
        yield ()

    async def get(self, key: str) -> Stored | None:
        return None

    async def write(self, changes: Sequence[EntityChange], *, by: str = "") -> Sequence[Stored | None]:
        return ()


library = ODataService("Contoso.Library")
books = library.writable_entity_set("Books", Book, key="id", source=Store)
reports = library.entity_set("Reports", Report, key="id", source=Store)


@library.action("GenerateReport")
async def generate_report(context: ActionContext, request: ReportRequest) -> Report:
    raise NotImplementedError


@library.action("Tidy")
async def tidy(context: ActionContext) -> None:
    raise NotImplementedError


@books.action("Export")
async def export(context: ActionContext, request: ExportBook) -> ExportResult:
    raise NotImplementedError


@books.collection_action("Merge")
async def merge(context: ActionContext) -> Book | None:
    raise NotImplementedError


@books.function("Summary")
async def summary(context: RequestContext, request: SummaryOf) -> list[str]:
    raise NotImplementedError


@books.collection_function("Newest")
async def newest(context: RequestContext) -> list[Book]:
    raise NotImplementedError


@library.function("Total")
async def total(context: RequestContext) -> int:
    raise NotImplementedError


@library.function("Counted")
async def counted(context: RequestContext, request: Counted) -> list[Annotated[int, Field(ge=0)]]:
    raise NotImplementedError


def operation(name: str) -> ODataOperation:
    return next(found for found in library.operations if found.name == name)


def bound_to(entity_set: EntitySet, binding: Binding) -> list[str]:
    return [found.name for found in library.operations if (found.entity_set, found.binding) == (entity_set, binding)]
