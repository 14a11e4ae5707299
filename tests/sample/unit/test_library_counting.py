"""The words of a book, counted: by the action as the app declares it, in memory."""

from hashlib import sha256
from typing import Any

import pytest

from actions.books import count_words
from library.books import BookStore, file_name
from library.models import Book, WordCount, WordCounts
from shared.actions import ActionCanceled, ActionFailed, RequestError
from shared.testing import FakeApp
from tests.support.epubs import make_epub

EPUB = make_epub(("The cat and the dog", "cats? A DOG, the dog!"))
SHA256 = sha256(EPUB).hexdigest()


async def stored(app: FakeApp, epub: bytes = EPUB) -> dict[str, Any]:
    """A request for the words of a file that is stored."""
    digest = sha256(epub).hexdigest()
    await app.storage.container("books").put(file_name("b1", digest), epub, content_type="application/epub+zip")
    return {"id": "b1", "sha256": digest}


async def test_the_most_frequent_words() -> None:
    """Whatever their case and across chapters, in the order of their counts, then of their characters."""
    async with FakeApp() as app:
        request = await stored(app)
        run = app.run(count_words, request | {"sha256": request["sha256"].upper(), "top": 3})
        words = [WordCount(word=word, count=count) for word, count in (("dog", 3), ("the", 3), ("chapter", 2))]
        # Each chapter has a heading, "Chapter".
        assert await run == WordCounts(total=12, distinct=7, words=words)
        assert [progress.done for progress in run.progress] == [1, 2]


async def test_a_cancel_ends_it_within_the_book() -> None:
    """The second chapter is not counted."""
    async with FakeApp() as app:
        run = app.run(count_words, await stored(app), on_progress=lambda run, progress: run.cancel())
        with pytest.raises(ActionCanceled):
            await run
        assert len(run.progress) == 1


async def test_a_file_that_is_not_there_or_no_book() -> None:
    """It was replaced after the start; or holds no EPUB, whatever its name says."""
    async with FakeApp() as app:
        with pytest.raises(ActionFailed) as failure:
            await app.run(count_words, {"id": "b1", "sha256": SHA256})
        assert failure.value.code == "BookChanged"
        with pytest.raises(ActionFailed) as failure:
            await app.run(count_words, await stored(app, b"%PDF-1.7"))
        assert failure.value.code == "InvalidEpub"


async def test_refused_at_the_start() -> None:
    """No such book is 404; another file than the book's is 409, and so is any file of a book without one."""
    async with FakeApp() as app:
        with pytest.raises(RequestError, match="BookNotFound"):
            await app.check(count_words, {"id": "b1", "sha256": SHA256})
        books = BookStore(app.storage)
        for digest, of in ((SHA256, "1" * 64), (None, SHA256)):
            await books.put(Book(id="b1", title="A Book", sha256=digest), source=of)
            with pytest.raises(RequestError, match="BookChanged"):
                await app.check(count_words, {"id": "b1", "sha256": of})
        await books.put(Book(id="b1", title="A Book", sha256=SHA256), source="again")
        await app.check(count_words, {"id": "b1", "sha256": SHA256.upper()})
