"""read_epub and read_cover: what a book yields, what is refused, what is read around."""

import dataclasses
import encodings
import hashlib
import io
from encodings.aliases import aliases
from pathlib import Path

import pytest

import library.epub
from library.epub import (
    EpubBook,
    EpubError,
    EpubErrorCode,
    EpubLimits,
    WarningCode,
    read_cover,
    read_epub,
)
from tests.support import epubs
from tests.support.epubs import BadEpub, OddEpub, make_epub, package
from tests.support.reported_epubs import reported_epubs

BAD = [*epubs.broken_epubs(), *epubs.hostile_epubs()]
ODD = [*epubs.deviating_epubs(), *reported_epubs()]


def read(data: bytes, limits: EpubLimits | None = None) -> EpubBook:
    return read_epub(io.BytesIO(data), limits or EpubLimits())


def test_public_names() -> None:
    """The package exports these names and no others."""
    assert library.epub.__all__ == [
        "ChapterCallback",
        "Cover",
        "EpubBook",
        "EpubError",
        "EpubErrorCode",
        "EpubLimits",
        "EpubWarning",
        "WarningCode",
        "read_cover",
        "read_epub",
        "read_text",
    ]


@pytest.mark.parametrize("version", [2, 3])
def test_sound_book(version: int) -> None:
    """Every field of a sound book comes from where its version keeps it, and there is nothing to warn of."""
    data = make_epub(
        ("one two", "three", "don't stop"),
        "Title & More",
        ("First Author", "Second Author"),
        version,
        language="fr",
        identifier="urn:uuid:1",
        published="1998-05-17T10:00:00Z",
        publisher="Press",
        cover=epubs.PNG,
    )
    book = read(data)
    cover = book.cover
    assert cover is not None
    assert (cover.href, cover.media_type, cover.size) == ("OEBPS/cover.png", "image/png", len(epubs.PNG))
    assert cover.sha256 == hashlib.sha256(epubs.PNG).hexdigest()
    assert dataclasses.replace(book, cover=None) == EpubBook(
        title="Title & More",
        creators=("First Author", "Second Author"),
        language="fr",
        identifiers=("urn:uuid:1",),
        published="1998-05-17",
        publisher="Press",
        chapters=3,
        words=8,
        cover=None,
        warnings=(),
    )


def test_path_and_stream(tmp_path: Path) -> None:
    """A path as text, a Path and an open stream give the same book; the stream is left open."""
    path = tmp_path / "book.epub"
    path.write_bytes(make_epub())
    with path.open("rb") as stream:
        assert read_epub(stream) == read_epub(path) == read_epub(str(path))
        assert not stream.closed


def test_missing_file(tmp_path: Path) -> None:
    """A file that is not there is the caller's matter, not a bad book."""
    with pytest.raises(FileNotFoundError):
        read_epub(tmp_path / "none.epub")


def test_progress() -> None:
    """The callback hears of each chapter in turn: number, total, and heading or else path."""
    calls: list[tuple[int, int, str]] = []
    bare = b"<html xmlns='http://www.w3.org/1999/xhtml'><body><p>x</p></body></html>"
    headed = epubs.chapter("x", heading=" The <i>First</i>\n Day ")
    data = make_epub((headed, bare, b""))
    read_epub(io.BytesIO(data), on_chapter=lambda done, total, title: calls.append((done, total, title)))
    assert calls == [(1, 3, "The First Day"), (2, 3, "OEBPS/c2.xhtml"), (3, 3, "OEBPS/c3.xhtml")]


@pytest.mark.parametrize("error", [RuntimeError("stop"), ValueError("stop"), EOFError(), KeyboardInterrupt()])
def test_cancellation(error: BaseException) -> None:
    """What the callback raises ends the reading and arrives as it is, also if it is a type that zipfile raises."""

    def stop(done: int, total: int, title: str) -> None:
        if done == 2:
            raise error

    with pytest.raises(type(error)) as caught:
        read_epub(io.BytesIO(make_epub(("a", "b", "c"))), on_chapter=stop)
    assert caught.value is error


def test_stream_errors_pass() -> None:
    """A failing disk is not a bad book: OSError passes through."""

    class Failing(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        read_epub(Failing(make_epub()))


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.name)
def test_refused(case: BadEpub) -> None:
    """Each broken or hostile file is refused with its code and with a message that is a sentence or two."""
    assert len(case.data) < 1_000_000
    with pytest.raises(EpubError) as caught:
        read(case.data)
    assert caught.value.code == case.code
    assert str(caught.value) == caught.value.message
    assert caught.value.message.endswith(".")
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 500


def test_every_error_code_is_reached() -> None:
    """The catalogue of bad files has one for each error code."""
    assert {case.code for case in BAD} == set(EpubErrorCode)


@pytest.mark.parametrize("case", ODD, ids=lambda case: case.name)
def test_read_around(case: OddEpub) -> None:
    """Each deviation is read: the right words, exactly the expected warnings, the same on a second reading."""
    book = read(case.data)
    assert {warning.code for warning in book.warnings} == case.warnings
    assert book.words == case.words
    assert book.title.removesuffix(" &i;") in {"A Book", "urn:isbn:9780000000002"}
    assert read(case.data) == book


def test_every_warning_code_is_reached() -> None:
    """The catalogue of odd files has one for each warning code."""
    assert set[str]().union(*(case.warnings for case in ODD)) == set(WarningCode)


def test_title_fallbacks() -> None:
    """Without a title the identifier stands in, and without either the book is Untitled."""
    assert read(make_epub(title=None)).title == "urn:isbn:9780000000002"
    assert read(make_epub(title=None, identifier=None)).title == "Untitled"


@pytest.mark.parametrize(
    ("kinds", "title"),
    [
        (("subtitle", "main"), "Two"),
        (("collection", " Main\n"), "Two"),
        (("main", "subtitle"), "One"),
        (("main", "main"), "One"),
        (("subtitle", "edition"), "One"),
        ((None, "main"), "Two"),
        ((None, None), "One"),
    ],
)
def test_main_title(kinds: tuple[str | None, str | None], title: str) -> None:
    """The first title is the main one, unless the book calls another one that; its kind is no title."""
    metas = "".join(
        f'<meta refines="#t{number}" property="title-type">{kind}</meta>' for number, kind in enumerate(kinds) if kind
    )
    titles = f'<dc:title id="t0">One</dc:title>{metas}<dc:title id="t1">Two</dc:title>'
    book = read(make_epub(opf=package(title=None, metadata=titles)))
    assert (book.title, book.warnings) == (title, ())


def test_unique_identifier_first() -> None:
    """The identifier that the package names as unique comes first, whatever the order; none is listed twice."""
    more = "<dc:identifier>b</dc:identifier><dc:identifier>urn:x</dc:identifier><dc:identifier>b</dc:identifier>"
    opf = package(identifier="urn:x", metadata=more).replace(
        b"<dc:title>", b"<dc:identifier>a</dc:identifier><dc:title>"
    )
    assert read(make_epub(opf=opf)).identifiers == ("urn:x", "a", "b")


def test_publication_date_is_preferred() -> None:
    """Of several dates the one of publication counts, and a modification never does (OPF 2.0.1 section 2.2.7)."""
    modified = '<dc:date opf:event="modification">2020</dc:date>'
    published = '<dc:date opf:event="publication">1850-03</dc:date>'
    assert read(make_epub(opf=package(published="2011", metadata=modified + published))).published == "1850-03"
    only_modified = read(make_epub(opf=package(published=None, metadata=modified)))
    assert only_modified.published is None
    assert only_modified.warnings == ()


def test_values_are_cut() -> None:
    """A metadata value, and the number of values, stay within the limits."""
    limits = EpubLimits(max_value_chars=10, max_values=3)
    book = read(make_epub(title="x" * 50, creators=tuple("abcdef")), limits)
    assert book.title == "x" * 10
    assert book.creators == ("a", "b", "c")


def test_warnings_are_bounded() -> None:
    """A thousand deviations of one kind are five warnings and a count; identical ones are listed once."""
    many = read(make_epub(opf=package(documents=("c1.xhtml", *(f"no{number}.xhtml" for number in range(1000))))))
    assert len(many.warnings) == 6
    assert many.warnings[-1].message == "995 more of this kind"
    same = read(make_epub(opf=package(spine='<itemref idref="i0"/>' * 100)))
    assert len(same.warnings) == 1


def test_no_file_or_network_is_touched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """External subsets and entities of a chapter are not fetched: the text of a local file does not appear."""
    secret = tmp_path / "secret.txt"
    secret.write_text("one two three four five six seven")
    subset = tmp_path / "x.dtd"
    subset.write_text(f'<!ENTITY s SYSTEM "{secret.as_uri()}">')
    document = epubs.chapter("&s;").replace(b"<!DOCTYPE html>", f'<!DOCTYPE html SYSTEM "{subset.as_uri()}">'.encode())
    assert read(make_epub((document,))).words == 1
    inside = f'<!DOCTYPE html [<!ENTITY s SYSTEM "{secret.as_uri()}">]>'.encode()
    document = epubs.chapter("&s;").replace(b"<!DOCTYPE html>", inside)
    assert read(make_epub((document,))).words == 2  # the heading, and the reference as text


@pytest.mark.parametrize("case", [case for case in ODD if case.name.startswith("cover ")], ids=lambda case: case.name)
def test_odd_covers(case: OddEpub) -> None:
    """A cover that is named by its path, by a fallback or a second time is the cover."""
    found = read_cover(io.BytesIO(case.data))
    named = any(word in case.name for word in ("named", "fallback", "type"))
    assert found == (("image/jpeg", epubs.JPEG) if named else None)


@pytest.mark.parametrize(
    ("label", "title"),
    [
        ("cp866", "Война"),
        ("tis-620", "สงคราม"),
        ("x-sjis", "戦争"),
        ("KOI8-R", "Война"),
        ("windows-874", "สงคราม"),
        ("mac_cyrillic", "Война"),
        ("iso-2022-jp", "戦争"),
        ("ISO-8859-1", "Caf\u00e9 \u2013 \u201ca\u201d"),
    ],
)
def test_encodings_of_a_package(label: str, title: str) -> None:
    """The title comes as it is in an encoding that Python knows, with the warning that chapters get."""
    codec = "cp1252" if label == "ISO-8859-1" else label.removeprefix("x-").replace("windows-", "cp")
    opf = package(title="TITLE").decode().replace("utf-8", label).replace("TITLE", title)
    book = read(make_epub(opf=opf.encode(codec)))
    assert book.title == title
    assert {warning.code for warning in book.warnings} == {"encoding"}


@pytest.mark.parametrize("label", [None, "utf-8", "x-unknown", "utf-7", "zlib_codec", "cp037", "utf-32", "idna"])
def test_undecodable_package(label: str | None) -> None:
    """What is not in the encoding it is said to be in has U+FFFD for it, and never without a warning."""
    declared = package(title="Café").decode().replace('encoding="utf-8"', f'encoding="{label}"' if label else "")
    book = read(make_epub(opf=declared.encode("latin-1")))
    assert book.title == "Caf\ufffd"
    assert {warning.code for warning in book.warnings} == {"encoding"}


def test_every_label_is_safe() -> None:
    """Whatever encoding of Python a document declares, it is read; labels that are none leave nothing behind."""
    labels = sorted({*aliases.values(), "raw_unicode_escape", "undefined", "mbcs", "palmos", "charmap"})
    for label in labels:
        opf = package().decode().replace("utf-8", label).encode()
        assert read(make_epub(opf=opf)).title == "A Book", label
    remembered = len(encodings._cache)  # type: ignore[attr-defined]
    for number in range(50):
        read(make_epub(opf=package().replace(b"utf-8", b"none-%d" % number)))
    assert len(encodings._cache) == remembered  # type: ignore[attr-defined]


def test_odd_values() -> None:
    """What is read around in the package document does not harm the values beside it."""
    opf = package(title="War & Peace", publisher="Simon AMP Sons\x0bLtd").replace(b"AMP", b"&")
    book = read(make_epub(opf=opf.replace(b"</dc:title>", b"")))
    assert (book.title, book.publisher, book.language) == ("War & Peace", "Simon & Sons Ltd", "en")
    first = '<dc:date opf:event="publication">1850</dc:date>'
    assert read(make_epub(opf=package(metadata=first, publisher="A").replace(b">A<", b">&<"))).published == "1850"


@pytest.mark.parametrize("hostile", [opf for _, opf in epubs.hostile_packages()])
def test_no_entity_is_expanded(hostile: bytes) -> None:
    """A reference to a declared entity stays as it is written."""
    assert read(make_epub(opf=hostile)).title == "A Book &i;"


def test_a_book_under_drm() -> None:
    """A clear title page does not make a book of one whose text is encrypted."""
    locked = "".join(epubs.encryption(f"OEBPS/c{number}.xhtml").decode() for number in (2, 3))
    one = locked.replace("</encryption>", "", 1).replace("<encryption ", "<x ", 2).replace("<x ", "<encryption ", 1)
    with pytest.raises(EpubError) as caught:
        read(make_epub(("a", "b", "c"), files={"META-INF/encryption.xml": one.encode()}))
    assert caught.value.code == "encrypted"


def test_the_whole_book_is_bounded() -> None:
    """Chapters that are left out count as read: past the bound of a book the rest is not tried."""
    calls: list[int] = []
    book = make_epub(("a", *["<b>" * 2_000] * 20))
    with pytest.raises(EpubError, match="The unpacked book is larger"):
        read_epub(io.BytesIO(book), EpubLimits(max_total_bytes=30_000), lambda done, *_: calls.append(done))
    assert len(calls) < 6


def test_cover() -> None:
    """read_cover gives the bytes that read_epub describes, and None where it describes none."""
    assert read_cover(io.BytesIO(make_epub(cover=epubs.JPEG))) == ("image/jpeg", epubs.JPEG)
    assert read_cover(io.BytesIO(make_epub())) is None
    limits = EpubLimits(max_cover_bytes=10)
    assert read_cover(io.BytesIO(make_epub(cover=epubs.JPEG)), limits) is None
    with pytest.raises(EpubError):
        read_cover(io.BytesIO(b"no book"))
