"""Rows as this process has last written or read them: what has not changed since is neither read nor parsed again.

Only one process uses the file, and all its writes go through one connection, so it knows what a row holds
(docs/decisions/0045-rows-that-are-known.md).
"""

from collections.abc import Mapping, Sequence

from shared.storage.ports import Row, Scalar

Place = tuple[str, str, str]
"""Table, partition, key."""

_MOST = 8 * 1024 * 1024
"""Bytes, about: some thousand records of operations."""
_ROW_BYTES, _CHARACTER_BYTES = 500, 5
"""What a row takes in memory: some columns' objects, and by each character of its text."""
_PLAIN = frozenset((str, int, float, bool))


class KnownRow:
    """One row, and those of its columns that were asked for last."""

    __slots__ = ("_columns", "_place", "_shown", "etag", "size", "values")

    def __init__(self, place: Place, etag: str, values: Mapping[str, Scalar], text: str) -> None:
        """`text` is what `values` are as they are stored."""
        self.etag = etag
        self.values = dict(values)  # Callers may change theirs.
        self.size = _ROW_BYTES + _CHARACTER_BYTES * len(text)
        self._place = place
        self._columns: Sequence[str] | None = None
        self._shown = self.values

    def view(self, columns: Sequence[str] | None) -> Row:
        """The row with these columns, which are found sooner by who asks for the same ones again."""
        if self._columns is not columns:
            values = self.values
            self._shown = values if columns is None else {name: values[name] for name in columns if name in values}
            self._columns = columns
        _, partition, key = self._place
        # Each caller gets values of its own: to change them is to change no row.
        return Row(partition, key, self._shown.copy(), self.etag)


class KnownRows:
    """The rows that were committed last, as many as have room. Whoever holds the connection may use it."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._size = 0
        self._rows: dict[Place, KnownRow] = {}
        self._pending: dict[Place, KnownRow | None] = {}
        """What the transactions under way have made of rows; None where that is not known."""

    def committed(self, place: Place) -> KnownRow | None:
        return self._rows.get(place)

    def latest(self, place: Place) -> KnownRow | None:
        """The row as the transaction under way finds it."""
        return self._pending[place] if place in self._pending else self._rows.get(place)

    def note(self, row: KnownRow | None, place: Place) -> None:
        """What the transaction under way makes of it; None for a row that is gone, or that is to be read again."""
        is_plain = row is not None and _PLAIN.issuperset(map(type, row.values.values()))
        self._pending[place] = row if is_plain else None

    def commit(self) -> None:
        """What was noted is what others find from now on."""
        for place, row in self._pending.items():
            self.forget(place)
            if row is not None and row.size <= self._most:
                self._rows[place] = row
                self._size += row.size
        self._pending.clear()
        while self._size > self._most:
            self.forget(next(iter(self._rows)))

    def roll_back(self) -> None:
        """None of what was noted has come about; it is read again, whatever has kept it from that."""
        self._pending = dict.fromkeys(self._pending)
        self.commit()

    def forget(self, place: Place) -> None:
        if (row := self._rows.pop(place, None)) is not None:
            self._size -= row.size
