"""Counting by name, however many names there are: exact, in bounded memory, for what is counted lies on disk."""

from collections.abc import Iterable
from typing import Any

from shared.actions import Model

_TABLE = "CREATE TABLE tally (kind TEXT, name TEXT, books INT, words INT, PRIMARY KEY (kind, name)) WITHOUT ROWID"
_ADD = """INSERT INTO tally VALUES (?, ?, 1, ?)
ON CONFLICT (kind, name) DO UPDATE SET books = books + 1, words = words + excluded.words"""
_MOST = "SELECT name, books, words FROM tally WHERE kind = ? ORDER BY books DESC, words DESC, name LIMIT ?"
_ALL = "SELECT name, books, words FROM tally WHERE kind = ? ORDER BY name LIMIT ?"


class Counted(Model):
    """How many books have one name of a kind, and their words; no name where the books have none."""

    name: str | None
    books: int
    words: int


class Tally:
    """Books and words by kind and name. Blocking; used from one thread at a time."""

    def __init__(self) -> None:
        import sqlite3  # noqa: PLC0415  # only where something is counted

        # A database without a name is a temporary file that goes with its connection; 2 MB of it stay in memory.
        self._database: Any = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.execute(_TABLE)
        self._database.execute("BEGIN")

    def add(self, entries: Iterable[tuple[str, str, int]]) -> None:
        """Count a book of so many words for each (kind, name, words)."""
        self._database.executemany(_ADD, entries)

    def different(self, kind: str) -> int:
        """How many names of a kind there are, without those books that have none."""
        query = "SELECT count(*) FROM tally WHERE kind = ? AND name <> ''"
        return int(self._database.execute(query, (kind,)).fetchone()[0])

    def most(self, kind: str, limit: int) -> list[Counted]:
        """The names with the most books."""
        return self._counted(_MOST, kind, limit)

    def in_order(self, kind: str, limit: int) -> list[Counted]:
        """The first names in their own order."""
        return self._counted(_ALL, kind, limit)

    def close(self) -> None:
        self._database.close()

    def _counted(self, query: str, kind: str, limit: int) -> list[Counted]:
        rows = self._database.execute(query, (kind, limit))
        return [Counted(name=name or None, books=books, words=words) for name, books, words in rows]
