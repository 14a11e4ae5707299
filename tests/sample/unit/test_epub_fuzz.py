"""Damaged books: whatever happens to the bytes, a book or an EpubError comes out, the same each time."""

import io

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from library.epub import EpubBook, EpubError, read_epub
from tests.support.epubs import PNG, Entry, encryption, make_epub, package

_BOOK = make_epub(
    ("one <b>two</b> caf&eacute;", "three"),
    cover=PNG,
    files={"META-INF/encryption.xml": encryption("OEBPS/font.otf")},
    extra=[Entry(name=b"OEBPS/", method=0)],
)
_PACKAGE = package(documents=("c1.xhtml",), cover="cover.png", metadata='<meta name="x" content="y"/>')
_SETTINGS = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
_EDITS = st.lists(
    st.tuples(st.integers(0, 10_000), st.sampled_from(["set", "cut", "insert", "copy"]), st.binary(max_size=8)),
    min_size=1,
    max_size=6,
)


def mutated(data: bytes, edits: list[tuple[int, str, bytes]]) -> bytes:
    for position, kind, value in edits:
        at = position % (len(data) + 1)
        match kind:
            case "set":
                data = data[:at] + value + data[at + len(value) :]
            case "cut":
                data = data[:at] + data[at + len(value) * 8 :]
            case "insert":
                data = data[:at] + value + data[at:]
            case _:
                data = data[:at] + data[at // 2 : at // 2 + 40] + data[at:]
    return data


def outcome(data: bytes) -> EpubBook | tuple[str, str]:
    try:
        return read_epub(io.BytesIO(data))
    except EpubError as error:
        return error.code, error.message


@_SETTINGS
@given(_EDITS)
def test_mutated_archive(edits: list[tuple[int, str, bytes]]) -> None:
    """Any damage to the file as a whole."""
    data = mutated(_BOOK, edits)
    assert outcome(data) == outcome(data)


@_SETTINGS
@given(_EDITS)
def test_mutated_package(edits: list[tuple[int, str, bytes]]) -> None:
    """Any damage to the package document alone, packed soundly."""
    data = make_epub(opf=mutated(_PACKAGE, edits), files={"OEBPS/cover.png": PNG})
    assert outcome(data) == outcome(data)


@_SETTINGS
@given(_EDITS)
def test_mutated_chapter(edits: list[tuple[int, str, bytes]]) -> None:
    """Any damage to a chapter alone costs the book at most that chapter."""
    source = (
        '<?xml version="1.0" encoding="utf-8"?><html><head/><body><p>é <svg:svg/>&nbsp;x</p></body></html>'.encode()
    )
    book = outcome(make_epub((mutated(source, edits), "sound")))
    assert isinstance(book, EpubBook)
    assert book.chapters >= 1


@_SETTINGS
@given(st.binary(max_size=400))
def test_arbitrary_chapter(raw: bytes) -> None:
    """Bytes of no meaning as a chapter."""
    book = outcome(make_epub((raw, "sound")))
    assert isinstance(book, EpubBook)


@pytest.mark.parametrize("length", range(0, _BOOK.index(b"PK\1\2"), 7))
def test_cut_off_anywhere(length: int) -> None:
    """A download that stopped is refused wherever it stopped, but between two files: nothing tells then."""
    if _BOOK[length:].startswith(b"PK\3\4"):
        return
    result = outcome(_BOOK[:length])
    assert isinstance(result, tuple)
    assert result[0] == "not-a-zip"
