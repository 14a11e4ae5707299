"""The rules that are pure functions: paths, words, dates, text, image types."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from library.epub.cover import image_type
from library.epub.errors import EpubError
from library.epub.metadata import date_of
from library.epub.paths import Paths, UnusableHref, entry_path, folded, resolve
from library.epub.text import DocumentText, EntityDeclared
from library.words import WordCounter, count_words


@pytest.mark.parametrize(
    ("base", "href", "paths"),
    [
        ("OEBPS/book.opf", "c.xhtml", ("OEBPS/c.xhtml",)),
        ("book.opf", "c.xhtml", ("c.xhtml",)),
        ("a/b/book.opf", "../c/./d.xhtml#x?y", ("a/c/d.xhtml", "a/c/d.xhtml#x?y")),
        ("a/book.opf", "c.xhtml?q#f", ("a/c.xhtml", "a/c.xhtml?q#f")),
        ("a/book.opf", "../c%20d.xhtml", ("c d.xhtml", "c%20d.xhtml")),
        ("a/book.opf", "%E9.xhtml", ("a/%E9.xhtml", "a/é.xhtml")),
        ("a/book.opf", "c%2520d%252f", ("a/c%20d%2f", "a/c%2520d%252f")),
        ("a/book.opf", "c%2520d", ("a/c%20d", "a/c%2520d", "a/c d")),
        ("a/book.opf", "100%.xhtml", ("a/100%.xhtml",)),
        ("a/book.opf", "b\\c.xhtml", ("a/b/c.xhtml",)),
        ("a/book.opf", "b//c.xhtml", ("a/b/c.xhtml",)),
        ("a/book.opf", "c%2523.xhtml", ("a/c%23.xhtml", "a/c%2523.xhtml", "a/c#.xhtml")),
    ],
)
def test_resolve(base: str, href: str, paths: tuple[str, ...]) -> None:
    """An href is read against the package document: decoded once, dots resolved, query and fragment dropped.

    What tools write that know no such rule comes after it.
    """
    assert resolve(base, href) == Paths(paths, valid=True)


@pytest.mark.parametrize(
    ("href", "paths"),
    [
        ("/x", ("x",)),
        ("\\x", ("x",)),
        ("../../x", ("x",)),
        ("%2e%2e/.%2E/x", ("x", "a/%2e%2e/.%2E/x")),
        ("b/../../../x", ("x",)),
        ("/../x", ("x",)),
    ],
)
def test_the_root_is_the_top(href: str, paths: tuple[str, ...]) -> None:
    """A slash in front is the container's root, and nothing leads above it; neither is how it should be written."""
    assert resolve("a/book.opf", href) == Paths(paths, valid=False)


@pytest.mark.parametrize(
    "href",
    [
        "", " \n", "#top", "?q", "..", "../..", "/", "%2e%2e", "..%2fx", "x%5cy", "x%00",
        "//h/x", "\t//h/x", "ht\ntp://h/x",
        "http://h/x", "HTTPS:x", "file:///x", "data:text/plain,x", "C:\\x", "c:/x", "\\\\h\\x",
    ],
)  # fmt: skip
def test_resolve_refuses(href: str) -> None:
    """What is empty, remote, the root itself or hides a separator is no path in the container."""
    with pytest.raises(UnusableHref):
        resolve("a/book.opf", href)


@given(st.text(alphabet="ab./\\%2e5cf:#? \0é", max_size=40))
def test_resolved_paths_stay_inside(href: str) -> None:
    """Whatever the href, a path that comes out is relative and has no dot segments and no separators hidden."""
    try:
        paths = resolve("a/b/book.opf", href)
    except UnusableHref:
        return
    for path in paths.likeliest_first:
        assert path
        assert not {"", ".", ".."} & set(path.split("/"))
        assert "\\" not in path


@given(st.text(alphabet="ab./\\C:\0", max_size=20))
def test_entry_paths_stay_inside(name: str) -> None:
    """Whatever the entry is called, a path that comes out is relative and does not climb."""
    try:
        path = entry_path(name)
    except EpubError:
        return
    assert not {".", ".."} & set(path.split("/"))
    assert not path or "" not in path.split("/")
    assert "\\" not in path


def test_folded() -> None:
    """Case and Unicode form do not matter to the second look."""
    assert folded("E\u0301t\u00e9.XHTML") == folded("\u00c9te\u0301.xhtml")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 0),
        ("... -- !", 0),
        ("one two", 2),
        ("don't l\u2019\u00e9t\u00e9 'quoted' dogs'", 4),
        ("well-known e-mail", 4),
        ("3.14 and 1,000 in 2024", 7),
        ("snake_case", 2),
        ("cre\u0301me co\u00adop\u00ader\u00ada\u00adte", 2),
        ("日本語 の本", 5),
        ("カタカナー・ひらがな", 9),
        ("한국어 책", 2),
        ("हिन्दी में किताब", 3),
        ("كِتَابٌ جَدِيد", 2),
        ("ספר טוב", 2),
        ("война и мир", 3),
        ("A日B", 3),
    ],
)
def test_count_words(text: str, words: int) -> None:
    """Runs of letters and digits with apostrophes and marks inside; Han and kana one each; hyphens separate."""
    assert count_words(text) == words


@given(st.text(st.characters(max_codepoint=127)))
def test_ascii_counts_as_any_text_does(text: str) -> None:
    """ASCII has a pattern of its own, and the same words by it."""
    assert count_words(f"{text} \u00e9") == count_words(text) + 1


@given(st.lists(st.sampled_from(["one", " ", "tw", "o", "'", "日", "\u00ad", "x" * 9000, "\n"]), max_size=12))
def test_word_counter_does_not_depend_on_pieces(pieces: list[str]) -> None:
    """Text in pieces has as many words as in one, short of a word longer than the buffer."""
    counter = WordCounter()
    for piece in pieces:
        counter.add(piece)
    whole = "".join(pieces)
    if max((len(word) for word in whole.split()), default=0) < 16 * 1024:
        assert counter.total() == count_words(whole)
    else:
        assert counter.total() >= count_words(whole)


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("1998", "1998"),
        ("1998-05", "1998-05"),
        ("1998-05-17", "1998-05-17"),
        ("1998-05-17T00:00:00Z", "1998-05-17"),
        ("1998-13-45", "1998"),
        ("1998/05/17", "1998"),
        ("19980517", "1998-05-17"),
        ("19980517T000000Z", "1998-05-17"),
        ("19981345", None),
        ("May 1998", "1998"),
        ("22.09.2015", "2015"),
        ("1850 or 1851", "1850"),
        ("between 1850 and 1851", None),
        ("2023-02-29", "2023-02"),
        ("20240431", "2024-04"),
        ("2024-02-29T00:00:00", "2024-02-29"),
        ("0101-01-01T00:00:00+00:00", None),
        ("unknown", None),
        ("٢٠٢٤", None),
    ],
)
def test_date_of(text: str, date: str | None) -> None:
    """An ISO date up to its day, or the only year in the text, or nothing."""
    assert date_of(text) == date


def text_of(raw: bytes) -> str:
    return "".join(DocumentText(raw).pieces())


@pytest.mark.parametrize("size", [64 * 1024 - 20 + shift for shift in range(0, 24, 3)])
def test_entities_across_pieces(size: int) -> None:
    """A reference is replaced, and a declaration seen, wherever the boundary between pieces falls."""
    assert text_of(b"<a>" + b"x" * size + b"&eacute;</a>") == "<a>" + "x" * size + "é</a>"
    with pytest.raises(EntityDeclared):
        text_of(b"<a>" + b"x" * size + b"<!ENTITY a 'b'></a>")


def test_entities() -> None:
    """HTML entities become characters, those of XML stay, markup is not made of either, unknown ones stay."""
    assert text_of(b"<a>&nbsp;&lt;&amp;&LT;&nosuch;&#65;&</a>") == "<a>\u00a0&lt;&amp;&#60;&nosuch;&#65;&</a>"


def test_text_is_iterable_twice() -> None:
    """The second reading, as HTML after XML failed, sees the same text."""
    document = DocumentText("\ufeff<?xml version='1.0'?>\n<a>é</a>".encode())
    assert list(document.pieces()) == list(document.pieces())
    assert "".join(document.pieces()) == "<a>é</a>"


@given(st.binary(max_size=300))
def test_any_bytes_are_text(raw: bytes) -> None:
    """Whatever the bytes, they decode to text that UTF-8 can carry."""
    try:
        text_of(raw).encode("utf-8", "replace")
    except EntityDeclared:
        return


def test_image_type() -> None:
    """A raster image is known by its first bytes; SVG, HTML and nothing are not one."""
    assert image_type(b"RIFF\0\0\0\0WEBPVP8 ") == "image/webp"
    assert image_type(b"GIF89a") == "image/gif"
    assert image_type(b"<svg xmlns='http://www.w3.org/2000/svg'/>") is None
    assert image_type(b"") is None
