"""Answering `$search` from the index: a few books at a time, however many there are."""

import asyncio
import json
from collections.abc import Iterable, Mapping

from library.books import in_turns
from library.search_index import SearchIndex
from library.search_words import bucket_of, words_of
from shared.actions import RequestError, SearchAnd, SearchExpression, SearchNot, SearchOr, SearchText
from shared.storage import Storage

_WINDOW = 50
"""Parts of books that are looked at together."""

Positions = dict[str, list[int]]
"""Where the words that matter stand in a book."""

_Rows = list[tuple[str, str, str]]


async def search_books(storage: Storage, expression: SearchExpression) -> set[str]:
    """The ids of the books that match, as they were when the index was built.

    Raises RequestError: 409 SearchIndexMissing, 400 InvalidExpression for a text without a word.
    """
    index, phrases = SearchIndex(storage), dict[str, list[str]]()
    for text in _texts(expression):
        phrases[text] = words_of(text)
        if not phrases[text]:
            message = f"$search: {text[:80]!r} has no letters and no digits to look for."
            raise RequestError(400, "InvalidExpression", message, target="$search")
    current = await index.current()
    while current is not None:
        found = await _search(index, current, expression, phrases)
        before, current = current, await index.current()
        if current == before:
            return found
        # A new index has taken the place of this one, whose rows go meanwhile.
    message = "There is no search index, or no book in it; POST search-index:rebuild makes one."
    raise RequestError(409, "SearchIndexMissing", message, target="$search")


async def _search(
    index: SearchIndex, run_id: str, expression: SearchExpression, phrases: Mapping[str, list[str]]
) -> set[str]:
    wanted: dict[int, set[str]] = {}
    for word in (word for phrase in phrases.values() for word in phrase):
        wanted.setdefault(bucket_of(word), set()).add(word)
    first, *others = sorted(wanted)
    found, held = set[str](), dict[str, Positions]()

    def take(windows: Mapping[int, _Rows], last: str | None) -> None:
        """Note the words, and decide on every book but the last one, of which more parts may follow."""
        for bucket, rows in windows.items():
            for book_id, _, words in rows:
                known = json.loads(words)
                positions = held.setdefault(book_id, {})
                for word in wanted[bucket] & known.keys():
                    positions.setdefault(word, []).extend(known[word])
        for book_id in [each for each in held if each != last]:
            if _matches(expression, phrases, held.pop(book_id)):
                found.add(book_id)

    async for rows in index.pages(run_id, first, limit=_WINDOW):
        (begin, begin_part, _), (end, end_part, _) = rows[0], rows[-1]

        async def between(
            bucket: int, lower: str = f"{begin}!{begin_part}", upper: str = f"{end}!{end_part}!"
        ) -> _Rows:
            return [row async for page in index.pages(run_id, bucket, lower=lower, upper=upper) for row in page]

        windows = {first: rows, **dict(zip(others, await in_turns(others, between), strict=True))}
        await asyncio.to_thread(take, windows, end)
    take({}, None)
    return found


def _matches(expression: SearchExpression, phrases: Mapping[str, list[str]], book: Positions) -> bool:
    match expression:
        case SearchText(text=text):
            return has_phrase(phrases[text], book)
        case SearchNot(operand=operand):
            return not _matches(operand, phrases, book)
        case SearchAnd(parts=parts):
            return all(_matches(part, phrases, book) for part in parts)
        case SearchOr(parts=parts):
            return any(_matches(part, phrases, book) for part in parts)


def has_phrase(phrase: list[str], book: Positions) -> bool:
    """Whether the words stand in the book one behind the other."""
    starts = set(book.get(phrase[0], ()))
    for offset, word in enumerate(phrase[1:], start=1):
        starts &= {position - offset for position in book.get(word, ())}
    return bool(starts)


def _texts(expression: SearchExpression) -> Iterable[str]:
    match expression:
        case SearchText(text=text):
            yield text
        case SearchNot(operand=operand):
            yield from _texts(operand)
        case SearchAnd(parts=parts) | SearchOr(parts=parts):
            for part in parts:
                yield from _texts(part)
