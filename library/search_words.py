"""The words that are searched for, and how those of a book become rows of the index.

A word is what `library.words` counts, after NFKC and without regard to case (Unicode 15, section 5.18). Its
first 64 characters tell it from others.
"""

import json
from collections.abc import Generator, Iterable
from unicodedata import normalize
from zlib import crc32

from library.words import find_words

BUCKETS = 64
"""Rows of a part: a word is in the one of its bucket. Few enough to be written, and removed, in one transaction."""

MAX_PARTS = 99
"""Of one book, some 30,000 words each; what is behind them is not found."""

Buckets = list[dict[str, list[int]]]
"""Positions of the words of a part, in order, by bucket."""

_LONGEST = 64
_MAX_PART = 300_000
"""UTF-16 units of a part: at the most bytes that JSON may need for each, a transaction holds them (4 MiB)."""
_MAX_ROW = 30_000
"""UTF-16 units of one row: a column holds 32 Ki of them."""
_JOINERS = {ord(mark): None for mark in "\u00ad\u200c\u200d"} | {0x2019: "'"}


def words_of(text: str) -> list[str]:
    """The words of a text that is not long, as they are compared."""
    folded = normalize("NFKC", normalize("NFKC", text).casefold())
    return [word[:_LONGEST] for word in find_words(folded.translate(_JOINERS))]


def bucket_of(word: str) -> int:
    return crc32(word.encode()) % BUCKETS


def parts_of(texts: Iterable[Iterable[str]]) -> Generator[list[str]]:
    """The rows of each part of a book, as JSON by bucket: at least one part, and at most `MAX_PARTS`.

    No phrase goes from one of `texts`, each in pieces that end with a word, into the next.
    """
    part, position, made = _Part(), 0, 0
    for text in texts:
        for piece in text:
            for word in words_of(piece):
                if part.is_full:
                    yield part.rows()
                    part, made = _Part(), made + 1
                    if made == MAX_PARTS:
                        return
                part.add(word, position)
                position += 1
        position += 1
    yield part.rows()


class _Part:
    def __init__(self) -> None:
        self._buckets: Buckets = [{} for _ in range(BUCKETS)]
        self._sizes = [0] * BUCKETS
        self._size = 0
        self.is_full = False

    def add(self, word: str, position: int) -> None:
        bucket = bucket_of(word)
        found = self._buckets[bucket].get(word)
        size = len(str(position)) + 1
        if found is None:
            found = self._buckets[bucket][word] = []
            size += 2 * len(word) + 6
        found.append(position)
        self._sizes[bucket] += size
        self._size += size
        self.is_full = self.is_full or self._size > _MAX_PART or self._sizes[bucket] > _MAX_ROW

    def rows(self) -> list[str]:
        return [json.dumps(bucket, ensure_ascii=False, separators=(",", ":")) for bucket in self._buckets]
