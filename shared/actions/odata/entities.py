"""What an entity set reads from and writes to: implemented by the app, over its own storage."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import field
from typing import Any, Protocol

from pydantic import BaseModel

from shared.errors import RequestError
from shared.frozen import frozen


@frozen
class Stored:
    """An entity as stored; `etag` changes with every write of it and is opaque."""

    entity: BaseModel
    etag: str


@frozen
class Create:
    """`entity` is new; 409 where its key is taken."""

    entity: BaseModel


@frozen
class Update:
    """Set these fields (Python names, validated values); 404 where there is nothing, 412 where `if_match` is stale."""

    key: str
    values: Mapping[str, Any] = field(default_factory=dict[str, Any])
    if_match: tuple[str, ...] | None = None
    """Etags of which the stored one must be among; None: whatever is there."""


@frozen
class Remove:
    """404 where there is nothing, 412 where `if_match` is stale."""

    key: str
    if_match: tuple[str, ...] | None = None


EntityChange = Create | Update | Remove


class ChangeRefused(RequestError):
    """One of several changes cannot be, so that none was done; `index` is its place among them."""

    def __init__(self, error: RequestError, index: int) -> None:
        super().__init__(error.status, error.code, error.message, target=error.target, details=error.details)
        self.index = index


class EntitySource(Protocol):
    """The entities of one set, in the order of their keys."""

    def scan(self, *, after: str | None = None) -> AsyncIterator[Sequence[Stored]]:
        """Pages of at most 1000, keys ascending by code point and beyond `after`; a page may be empty.

        A page is made in one turn of the event loop: where entities take long to make, let pages be small.
        """
        ...

    async def get(self, key: str) -> Stored | None:
        """The entity; None where there is none, also for a key that could not be one."""
        ...


class EntityStore(EntitySource, Protocol):
    """A source that can be changed."""

    max_changes: int
    """How many changes one `write` takes."""

    async def write(self, changes: Sequence[EntityChange], *, by: str = "") -> Sequence[Stored | None]:
        """All of `changes`, each of another key, or none; what is stored then, None for a Remove.

        Raises ChangeRefused for the first change that cannot be: 404, 409, 412, or 400 with the reason; RequestError
        400 for changes that cannot be one write. `by`, where it is given, names the writer: doing the same again for
        one writer changes nothing and answers the same.
        """
        ...
