"""Counting the words of a stored book: work that computes, and so runs in a process of its own."""

from collections import Counter
from collections.abc import Generator
from io import BytesIO

from library.books import file_name
from library.models import CountWords, WordCount, WordCounts
from library.search_words import words_of
from shared.actions import ActionFailed, SyncActionContext


def count_words_of_book(context: SyncActionContext, request: CountWords) -> WordCounts:
    """The most frequent words of the EPUB. Words are told apart as `$search` does. Words of one count are in the order
    of their characters.

    Raises ActionFailed BookChanged, InvalidEpub.
    """
    # By its name: a process has no rows, and nothing that was read before it could say more.
    epub = context.read_blob("books", file_name(request.id, request.sha256.lower()))
    if epub is None:
        message = "The book does not have this file any more; read it again for its sha256."
        raise ActionFailed("BookChanged", message, target="sha256", status_code=409)
    counts: Counter[str] = Counter()
    for done, chapter in enumerate(_chapters(epub), start=1):
        for piece in chapter:
            context.raise_if_canceled()
            counts.update(words_of(piece))
        context.report_progress(done=done, message=f"Counted {done} chapters")
    first = sorted(counts.items(), key=lambda found: (-found[1], found[0]))[: request.top]
    words = [WordCount(word=word, count=count) for word, count in first]
    return WordCounts(total=counts.total(), distinct=len(counts), words=words)


def _chapters(epub: bytes) -> Generator[tuple[str, ...]]:
    # Only here, because a cold start that reads no book should not pay for the XML library.
    from library.epub import EpubError, read_text  # noqa: PLC0415

    try:
        yield from read_text(BytesIO(epub))
    except EpubError as error:
        raise ActionFailed("InvalidEpub", error.message, target=error.code) from None
