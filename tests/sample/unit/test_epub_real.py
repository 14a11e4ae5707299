"""A book that somebody published."""

from library.epub import read_cover, read_epub
from tests.sample.real_epub import debian_policy_epub


def test_debian_policy() -> None:
    """The Debian Policy Manual is read whole: metadata, every linear chapter, words by the tens of thousands."""
    calls: list[tuple[int, int, str]] = []
    path = debian_policy_epub()
    book = read_epub(path, on_chapter=lambda done, total, title: calls.append((done, total, title)))
    assert book.title == "Debian Policy Manual"
    assert book.creators == ("The Debian Policy Mailing List",)
    assert book.language == "en"
    assert book.published is not None
    assert book.published > "2000"
    assert book.chapters > 10
    assert book.words > 50_000
    # Debian sorts the entries for reproducible builds, which moves `mimetype` from its place.
    assert {warning.code for warning in book.warnings} <= {"mimetype"}
    assert [done for done, _, _ in calls] == list(range(1, book.chapters + 1))
    assert all(title and not title.endswith(".xhtml") for _, _, title in calls)
    assert read_cover(path) is None
