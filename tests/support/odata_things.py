"""Entities with a property of every kind, and a set of them that counts what is read."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Literal
from uuid import UUID

from pydantic import Field

from shared.actions.models import Model
from shared.actions.odata.edm import Types
from shared.actions.odata.entities import Stored


class Mood(str, Enum):  # noqa: UP042  # older than StrEnum, and unlike it in its hash
    GLAD = "glad"
    SAD = "sad"


class Cover(Model):
    media_type: str
    size: int


class Note(Model):
    code: str
    weight: float | None = None
    tags: list[str] = Field(default_factory=list[str])


class Thing(Model):
    """`id` is the key."""

    id: str
    title: str = ""
    creators: list[str] = Field(default_factory=list[str])
    scores: list[float] = Field(default_factory=list[float])
    published: str | None = None
    words: int = 0
    rating: float | None = None
    price: Decimal | None = None
    is_free: bool | None = None
    added: datetime | None = None
    born: date | None = None
    opens: time | None = None
    lasts: timedelta | None = None
    guid: UUID | None = None
    mood: Mood | None = None
    kind: Literal["a", "b"] = "a"
    cover: Cover | None = None
    notes: list[Note] = Field(default_factory=list[Note])
    nullable: int | None = None
    anything: bool = True


TYPE = Types("Library").entity(Thing, "id", "test")

DRACULA = Thing(
    id="dracula",
    title="Dracula",
    creators=["Bram Stoker"],
    scores=[0.1, 4.5],
    published="1897-05-26",
    words=160000,
    rating=4.5,
    price=Decimal("9.95"),
    is_free=True,
    added=datetime(2024, 2, 29, 23, 30, 15, 250000, tzinfo=UTC),
    born=date(1847, 11, 8),
    opens=time(9, 30),
    lasts=timedelta(days=1, hours=2),
    guid=UUID("01234567-89ab-cdef-0123-456789abcdef"),
    mood=Mood.SAD,
    kind="b",
    cover=Cover(media_type="image/png", size=1200),
    notes=[Note(code="old", weight=1.5, tags=["x", "y"]), Note(code="torn")],
    nullable=5,
)
EMMA = Thing(
    id="emma",
    title="Emma's  Day ",
    creators=["Jane Austen", "A. N. Other"],
    published="1815",
    words=-7,
    rating=-0.5,
    price=Decimal("0"),
    is_free=False,
    added=datetime(2023, 1, 2, 3, 4, 5),  # without a zone, as a model may hold it
    cover=Cover(media_type="image/jpeg", size=10),
)
ZERO = Thing(id="zero")
THINGS = [DRACULA, EMMA, ZERO]


class ThingSet:
    """A source in memory. `looked_at` counts the entities it gave out, `pages` the pages."""

    def __init__(self, things: Sequence[Thing], *, page: int = 1000) -> None:
        self.things = sorted(things, key=lambda thing: thing.id)
        self.page = page
        self.looked_at = 0
        self.pages = 0
        self.closed = 0

    async def scan(self, *, after: str | None = None) -> AsyncIterator[Sequence[Stored]]:
        rest = [thing for thing in self.things if after is None or thing.id > after]
        try:
            for start in range(0, len(rest), self.page):
                part = [Stored(thing, "1") for thing in rest[start : start + self.page]]
                self.pages += 1
                self.looked_at += len(part)
                yield part
                yield []
        finally:
            self.closed += 1

    async def get(self, key: str) -> Stored | None:
        return next((Stored(thing, "1") for thing in self.things if thing.id == key), None)
