"""Shelves as they appear on the wire."""

from pydantic import Field

from shared.actions import ArmTrackedResource, Model, read_only


class ShelfProperties(Model):
    """A shelf. `book_count` and `words` are of the books that stood on it at its last PUT, PATCH or restart."""

    description: str | None = Field(None, max_length=2000)
    theme: str | None = Field(None, max_length=200)
    capacity: int | None = Field(None, ge=0, le=1_000_000)
    """How many books fit; no limit without it."""
    book_count: int | None = read_only()
    words: int | None = read_only()


Shelf = ArmTrackedResource[ShelfProperties]


class MigrationRequest(Model):
    """The name of a shelf in the same resource group."""

    target_shelf: str = Field(min_length=1, max_length=64)


class MigrationResult(Model):
    """`skipped` books did not fit, or were changed by somebody else in the meantime."""

    moved: int
    skipped: int


class Inventory(Model):
    """Where the shelf's latest inventory is, as CSV."""

    count: int
    url: str


class InventoryRef(Model):
    """One inventory, by its id."""

    id: str
