"""What `$search` asks for, as a source of entities is given it (OData URL Conventions 4.01, section 5.1.8)."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from shared.actions.odata.entities import EntitySource


@dataclass(frozen=True, slots=True)
class SearchText:
    """A word, or a phrase without its quotes. The source decides on what is a match."""

    text: str


@dataclass(frozen=True, slots=True)
class SearchNot:
    """What does not match `operand`."""

    operand: "SearchExpression"


@dataclass(frozen=True, slots=True)
class SearchAnd:
    """What matches each of two or more `parts`."""

    parts: tuple["SearchExpression", ...]


@dataclass(frozen=True, slots=True)
class SearchOr:
    """What matches one of two or more `parts`."""

    parts: tuple["SearchExpression", ...]


SearchExpression = SearchText | SearchNot | SearchAnd | SearchOr


class SearchableSource(EntitySource, Protocol):
    """A source that `$search` can ask. It need not find what was written a moment ago."""

    async def search(self, expression: SearchExpression) -> Collection[str]:
        """The keys of all that matches, in any order; keys of what is gone do no harm.

        An expression has at most 50 texts and nests at most 64 deep. Raises RequestError where it cannot be answered:
        409 where nothing can be searched yet, 400 with the reason.
        """
        ...
