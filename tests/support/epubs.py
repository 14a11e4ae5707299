"""Makes EPUBs for tests: sound ones, and ones that are broken, hostile or merely unusual in one stated way.

    make_epub(chapters=("one two", "three"), title="A Book")

Everything is built in memory and is the same on every run. The archives are written by hand (`pack`), because no
library writes what the hostile ones need.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from typing import NamedTuple
from xml.sax.saxutils import escape
from zipfile import ZipFile

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 24
JPEG = b"\xff\xd8\xff\xe0" + b"\0" * 24
CONTAINER = (
    '<?xml version="1.0"?>\n<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">'
    '<rootfiles><rootfile full-path="{path}" media-type="application/oebps-package+xml"/></rootfiles></container>'
)
_STORED, _DEFLATED = 0, 8
_UTF8_FLAG = 0x800


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One ZIP entry as written; every field that is not None overrides what would be true."""

    name: bytes
    data: bytes = b""
    method: int = _DEFLATED
    flags: int = _UTF8_FLAG
    packed: bytes | None = None
    declared_size: int | None = None
    declared_packed: int | None = None
    crc: int | None = None
    offset: int | None = None
    """Local header that the directory points to, instead of one of its own."""
    local: bool = True
    local_name: bytes | None = None


def pack(entries: Iterable[Entry], *, prefix: bytes = b"", suffix: bytes = b"") -> bytes:
    """A ZIP of `entries` in this order, between `prefix` (a self-extractor) and `suffix` (junk). APPNOTE 4.3."""
    body, directory, count = bytearray(), bytearray(), 0
    for entry in entries:
        packed = entry.packed
        if packed is None:
            packed = _deflated(entry.data) if entry.method == _DEFLATED else entry.data
        crc = zlib.crc32(entry.data) if entry.crc is None else entry.crc
        size = len(entry.data) if entry.declared_size is None else entry.declared_size
        packed_size = len(packed) if entry.declared_packed is None else entry.declared_packed
        fields = (entry.flags, entry.method, 0, 0x21, crc, packed_size, size, len(entry.name), 0)
        offset = len(body) if entry.offset is None else entry.offset
        if entry.local:
            name = entry.name if entry.local_name is None else entry.local_name
            body += struct.pack("<4s5H3I2H", b"PK\3\4", 20, *fields[:-2], len(name), 0) + name + packed
        directory += struct.pack("<4s6H3I5H2I", b"PK\1\2", 20, 20, *fields, 0, 0, 0, 0, offset) + entry.name
        count += 1
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, len(directory), len(body), 0)
    return prefix + bytes(body) + bytes(directory) + end + suffix


def chapter(text: str, heading: str = "Chapter") -> bytes:
    """An XHTML document with a heading and one paragraph of `text`, which may hold markup."""
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE html>\n<html xmlns="http://www.w3.org/1999/xhtml">'
        f"<head><title>not counted</title></head><body><h1>{heading}</h1><p>{text}</p></body></html>"
    ).encode()


def package(
    *,
    documents: Sequence[str] = ("c1.xhtml",),
    title: str | None = "A Book",
    creators: Sequence[str] = ("An Author",),
    language: str | None = "en",
    identifier: str | None = "urn:isbn:9780000000002",
    published: str | None = "1998-05-17",
    publisher: str | None = "A Press",
    version: int = 3,
    cover: str | None = None,
    metadata: str = "",
    manifest: str = "",
    spine: str = "",
) -> bytes:
    """A package document; `metadata`, `manifest` and `spine` are markup added at the end of these elements."""
    values = [("title", title), ("language", language), ("date", published), ("publisher", publisher)]
    dc = "".join(f"<dc:{name}>{escape(value)}</dc:{name}>" for name, value in values if value is not None)
    dc += "".join(f"<dc:creator>{escape(creator)}</dc:creator>" for creator in creators)
    if identifier is not None:
        dc += f'<dc:identifier id="uid">{escape(identifier)}</dc:identifier>'
    items = "".join(
        f'<item id="i{number}" href="{href}" media-type="application/xhtml+xml"/>'
        for number, href in enumerate(documents)
    )
    if cover is not None:
        kind = "image/jpeg" if cover.endswith(".jpg") else "image/png"
        marked = ' properties="cover-image"' if version == 3 else ""
        items += f'<item id="cover-id" href="{cover}" media-type="{kind}"{marked}/>'
        dc += '<meta name="cover" content="cover-id"/>' if version == 2 else ""
    references = "".join(f'<itemref idref="i{number}"/>' for number in range(len(documents)))
    return (
        f'<?xml version="1.0" encoding="utf-8"?>\n<package xmlns="http://www.idpf.org/2007/opf" version="{version}.0" '
        'unique-identifier="uid"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/" '
        f'xmlns:opf="http://www.idpf.org/2007/opf">{dc}{metadata}</metadata>'
        f"<manifest>{items}{manifest}</manifest><spine>{references}{spine}</spine></package>"
    ).encode()


def make_epub(
    chapters: Sequence[str | bytes] = ("one two three",),
    title: str | None = "A Book",
    creators: Sequence[str] = ("An Author",),
    version: int = 3,
    *,
    language: str | None = "en",
    identifier: str | None = "urn:isbn:9780000000002",
    published: str | None = "1998-05-17",
    publisher: str | None = "A Press",
    cover: bytes | None = None,
    files: Mapping[str, bytes | None] | None = None,
    extra: Sequence[Entry] = (),
    opf: bytes | None = None,
    mimetype: Entry | None = None,
    prefix: bytes = b"",
    suffix: bytes = b"",
) -> bytes:
    """The bytes of an EPUB.

    `chapters`: text of a paragraph, or the bytes of a document, each under a one-word heading (texts only).
    `files`: entries to add or replace by path; None leaves one out. `extra`: raw entries at the end.
    `opf`, `mimetype`, `prefix`, `suffix`: replace or surround.
    """
    names = [f"c{number}.xhtml" for number in range(1, len(chapters) + 1)]
    cover_name = None if cover is None else "cover.jpg" if cover == JPEG else "cover.png"
    if opf is None:
        opf = package(
            documents=names,
            title=title,
            creators=creators,
            language=language,
            identifier=identifier,
            published=published,
            publisher=publisher,
            version=version,
            cover=cover_name,
        )
    contents: dict[str, bytes | None] = {
        "META-INF/container.xml": CONTAINER.format(path="OEBPS/book.opf").encode(),
        "OEBPS/book.opf": opf,
    }
    for name, content in zip(names, chapters, strict=True):
        contents[f"OEBPS/{name}"] = content if isinstance(content, bytes) else chapter(content)
    if cover_name is not None:
        contents[f"OEBPS/{cover_name}"] = cover
    contents.update(files or {})
    first = Entry(name=b"mimetype", data=b"application/epub+zip", method=_STORED) if mimetype is None else mimetype
    entries = [Entry(name=name.encode(), data=data) for name, data in contents.items() if data is not None]
    return pack([*([first] if first.name else []), *entries, *extra], prefix=prefix, suffix=suffix)


def plain_entries() -> Iterator[tuple[str, bytes]]:
    """The names and the contents of a sound book's entries, `mimetype` first."""
    with ZipFile(BytesIO(make_epub())) as archive:
        yield from ((name, archive.read(name)) for name in archive.namelist())


class BadEpub(NamedTuple):
    """A file that must be refused: with error code `code`."""

    name: str
    data: bytes
    code: str


class OddEpub(NamedTuple):
    """A file that must be read: `words` of text and these warning codes, each at least once, and no others."""

    name: str
    data: bytes
    words: int
    warnings: frozenset[str]


def broken_epubs() -> Iterator[BadEpub]:
    """Files that are no readable books, through no ill will."""
    sound = make_epub()
    c1 = "OEBPS/c1.xhtml"
    yield BadEpub("empty file", b"", "not-a-zip")
    yield BadEpub("PDF", b"%PDF-1.7\n" + b"x" * 200, "not-a-zip")
    yield BadEpub("cut off", sound[: len(sound) // 2], "not-a-zip")
    yield BadEpub("ZIP without anything", pack([]), "no-container")
    yield BadEpub("other ZIP", pack([Entry(name=b"word/document.xml", data=b"<a/>")]), "no-container")
    plain = [(name, data) for name, data in plain_entries() if not name.endswith(".opf")]
    two = [Entry(name=folder + name.encode(), data=data) for folder in (b"a/", b"b/") for name, data in plain]
    yield BadEpub("two books without packages", pack(two), "no-container")
    of_a_mac = Entry(name=b"__MACOSX/a/._book.opf", data=package())
    yield BadEpub("package of a Mac's own", make_epub(files={"OEBPS/book.opf": None}, extra=[of_a_mac]), "no-package")
    yield BadEpub("package not there", make_epub(files={"OEBPS/book.opf": None}), "no-package")
    cut_off = {"META-INF/container.xml": b"<container><", "OEBPS/book.opf": None}
    yield BadEpub("container cut off and no package", make_epub(files=cut_off), "malformed-xml")
    yield BadEpub("package cut off", make_epub(opf=package()[:-30]), "malformed-xml")
    yield BadEpub("package no XML", make_epub(opf=b"\x00\x01\x02" * 50), "malformed-xml")
    yield BadEpub("spine empty", make_epub(chapters=()), "nothing-readable")
    yield BadEpub("chapters missing", make_epub(files={c1: None}), "nothing-readable")
    yield BadEpub("chapters empty", make_epub(chapters=(b"", b"   ")), "nothing-readable")
    image = package(documents=(), manifest='<item id="p" href="p.png" media-type="image/png"/>')
    image = image.replace(b"<spine>", b'<spine><itemref idref="p"/>')
    yield BadEpub("spine of images", make_epub(opf=image, files={"OEBPS/p.png": PNG}), "nothing-readable")
    bad_crc = Entry(name=c1.encode(), data=chapter("a"), crc=1)
    yield BadEpub("wrong checksum", make_epub(files={c1: None}, extra=[bad_crc]), "zip-damaged")
    garbled = Entry(name=c1.encode(), data=chapter("a"), packed=b"\xff" * 50)
    yield BadEpub("garbled data", make_epub(files={c1: None}, extra=[garbled]), "zip-damaged")
    bzip2 = Entry(name=c1.encode(), data=chapter("a"), method=12)
    yield BadEpub("packed with bzip2", make_epub(files={c1: None}, extra=[bzip2]), "zip-unsupported")
    lzma = Entry(name=c1.encode(), data=chapter("a"), method=14)
    yield BadEpub("packed with LZMA", make_epub(files={c1: None}, extra=[lzma]), "zip-unsupported")
    locked = Entry(name=c1.encode(), data=chapter("a"), flags=_UTF8_FLAG | 1)
    yield BadEpub("ZIP password", make_epub(files={c1: None}, extra=[locked]), "encrypted")
    yield BadEpub("DRM", make_epub(files={"META-INF/encryption.xml": encryption(c1)}), "encrypted")
    package_locked = make_epub(files={"META-INF/encryption.xml": encryption("OEBPS/book.opf")})
    yield BadEpub("package encrypted", package_locked, "encrypted")


def hostile_epubs() -> Iterator[BadEpub]:
    """Files made to hurt: each is below 1 MB, and the default limits or rules stop it."""
    c1 = "OEBPS/c1.xhtml"
    yield BadEpub("deep nesting", make_epub(chapters=(chapter("<b>" * 5000 + "</b>" * 5000),)), "limit-exceeded")
    yield BadEpub("deep tag soup", make_epub(chapters=(b"<html><body>" + b"<div>" * 50_000,)), "limit-exceeded")
    yield BadEpub("deep package", make_epub(opf=b"<x>" * 5000), "limit-exceeded")
    yield BadEpub("many elements", make_epub(chapters=(chapter("<b/>" * 1_100_000),)), "limit-exceeded")
    attributes = " ".join(f'a{number:x}=""' for number in range(200_000))
    yield BadEpub("many attributes", make_epub(chapters=(chapter(f"<b {attributes}/>"),)), "limit-exceeded")
    names = " ".join(f"a{number:x}" for number in range(200_000))
    in_html = f"<html><body><br><b title='>' {names}>x".encode()
    yield BadEpub("many attributes in HTML", make_epub(chapters=(in_html,)), "limit-exceeded")
    for label, sign in (("tag in quotes", "<="), ("comment in quotes", "<!--"), ("quote and tag in quotes", '"<a b="')):
        hidden = in_html.replace(b"'>'", f"'{sign}'".encode())
        yield BadEpub(f"many attributes behind a {label}", make_epub(chapters=(hidden,)), "limit-exceeded")
    pad = "".join(f"{number * 2654435761 % 2**32:x} " for number in range(20_000))
    end_tags = f"<html><body>{'<div>' * 900}{pad}{'</x>' * 200_000}".encode()
    yield BadEpub("end tags that close nothing", make_epub(chapters=(end_tags,)), "limit-exceeded")
    yield BadEpub("bomb of spaces", make_epub(chapters=(chapter(" " * 17_000_000),)), "limit-exceeded")
    yield BadEpub("ratio", make_epub(chapters=(chapter(" " * 15_000_000),)), "limit-exceeded")
    yield BadEpub("bomb as package", make_epub(opf=package(metadata=" " * 5_000_000)), "limit-exceeded")
    lying = Entry(name=c1.encode(), data=chapter(" " * 17_000_000), declared_size=100)
    yield BadEpub("bomb declared small", make_epub(files={c1: None}, extra=[lying]), "zip-damaged")
    boasting = Entry(name=c1.encode(), data=chapter(" " * 17_000_000), declared_size=4_000_000_000)
    yield BadEpub("bomb declared huge", make_epub(files={c1: None}, extra=[boasting]), "limit-exceeded")
    many = [Entry(name=b"x%d" % number, method=_STORED) for number in range(10_001)]
    yield BadEpub("many entries", make_epub(extra=many), "limit-exceeded")
    items = "".join(f'<item id="m{number}" href="a"/>' for number in range(20_001))
    yield BadEpub("many manifest items", make_epub(opf=package(manifest=items)), "limit-exceeded")
    yield BadEpub("many spine items", make_epub(opf=package(spine='<itemref idref="i0"/>' * 10_001)), "limit-exceeded")
    yield BadEpub("entries overlap fully", _overlapping(), "overlapping-entries")
    yield BadEpub("entries overlap quoted", _quoted(), "overlapping-entries")
    beyond = Entry(name=b"x", data=b"abc", method=_STORED, declared_packed=5000)
    yield BadEpub("entry reaches into the directory", make_epub(extra=[beyond]), "overlapping-entries")
    for label, name in (
        ("climbing", b"../../etc/cron.d/x"),
        ("climbing inside", b"OEBPS/../../x"),
        ("drive letter", b"C:/Windows/x"),
        ("climbing with backslashes", b"..\\..\\x"),
        ("NUL", b"OEBPS/c1.xhtml\0.png"),
    ):
        yield BadEpub(f"entry name {label}", make_epub(extra=[Entry(name=name, data=b"x")]), "unsafe-path")
    for label, path in (
        ("remote", "http://example.com/book.opf"),
        ("file", "file:///etc/passwd.opf"),
        ("hides a separator", "OEBPS%5cbook.opf"),
    ):
        container = CONTAINER.format(path=path).encode()
        yield BadEpub(f"rootfile {label}", make_epub(files={"META-INF/container.xml": container}), "unsafe-path")


def deviating_epubs() -> Iterator[OddEpub]:
    """Files that are not quite right, as published books are, and are read all the same."""
    yield odd("nothing odd", make_epub())
    yield from _odd_archives()
    yield from _odd_packages()
    yield from _odd_spines()
    yield from _odd_chapters()
    yield from _odd_covers()


def odd(name: str, data: bytes, *codes: str, words: int = 4) -> OddEpub:
    """An `OddEpub`: the heading and three words unless said otherwise."""
    return OddEpub(name, data, words, frozenset(codes))


def _odd_archives() -> Iterator[OddEpub]:
    c1 = "OEBPS/c1.xhtml"
    named = Entry(name=b"mimetype", data=b"application/epub+zip", method=_STORED)
    yield odd("EPUB 2", make_epub(version=2, cover=JPEG))
    yield odd("no mimetype", make_epub(mimetype=Entry(name=b"")), "mimetype")
    yield odd("mimetype compressed", make_epub(mimetype=Entry(name=b"mimetype", data=named.data)), "mimetype")
    yield odd("mimetype last", make_epub(mimetype=Entry(name=b""), extra=[named]), "mimetype")
    line = Entry(name=b"mimetype", data=b"application/epub+zip\r\n", method=_STORED)
    yield odd("mimetype with line end", make_epub(mimetype=line), "mimetype")
    other = Entry(name=b"mimetype", data=b"application/zip", method=_STORED)
    yield odd("mimetype of another kind", make_epub(mimetype=other), "mimetype")
    yield odd("self-extractor", make_epub(prefix=b"MZ" + b"\0" * 5000))
    yield odd("junk at the end", make_epub(suffix=b"\r\n" * 500))
    folders = [Entry(name=name, method=_STORED) for name in (b"OEBPS/", b"META-INF/")]
    yield odd("directory entries", make_epub(extra=folders))
    windows = Entry(name=b"OEBPS\\c1.xhtml", data=chapter("one two three"))
    yield odd("backslashes in names", make_epub(files={c1: None}, extra=[windows]), "entry-name")
    accented = package(documents=("chapitre%20%C3%A9t%C3%A9.xhtml",))
    named_utf8 = "OEBPS/chapitre été.xhtml"
    yield odd("escaped href", make_epub(opf=accented, files={c1: None, named_utf8: chapter("one two three")}))
    unmarked = Entry(name=named_utf8.encode(), data=chapter("one two three"), flags=0)
    yield odd("UTF-8 name not marked", make_epub(opf=accented, files={c1: None}, extra=[unmarked]), "entry-name")
    for label, prefix in (("./", b"./"), ("/", b"/"), (".\\", b".\\"), ("././/", b"././/")):
        renamed = [Entry(name=prefix + name.encode(), data=data, method=0) for name, data in plain_entries()]
        yield odd(f"names with {label} in front", pack(renamed), "entry-name")
    inner = Entry(name=b"OEBPS/.//./c1.xhtml", data=chapter("one two three"))
    yield odd("./ inside a name", make_epub(files={c1: None}, extra=[inner]), "entry-name")
    outside = [Entry(name=name, data=b"x") for name in (b"/etc/passwd", b"\\\\server\\share", b"./")]
    yield odd("entries of the root", make_epub(extra=outside), "entry-name")
    for label, name in (("of another name", b"x" * 90), ("in other bytes", b"\xff\xfe"), ("without a name", b"")):
        other_header = Entry(name=c1.encode(), data=chapter("one two three"), local_name=name)
        yield odd(f"local header {label}", make_epub(files={c1: None}, extra=[other_header]))
    twice = Entry(name=c1.encode(), data=chapter("other"))
    yield odd("one name twice", make_epub(extra=[twice]), "entry-name", words=2)
    marked = Entry(name=c1.encode(), data=chapter("one two three"), flags=_UTF8_FLAG | 0x6)
    yield odd("compression hints in the flags", make_epub(files={c1: None}, extra=[marked]))
    for label, bad in (
        ("encrypted", Entry(name=b"mimetype", data=named.data, method=_STORED, flags=1)),
        ("damaged", Entry(name=b"mimetype", data=named.data, packed=b"\xff")),
        ("packed with LZMA", Entry(name=b"mimetype", data=named.data, method=14)),
    ):
        yield odd(f"mimetype {label}", make_epub(mimetype=bad), "mimetype")
    yield from _odd_names()
    # JSZip looks for the end record in the whole file.
    for label, junk in (("zeros", b"\0" * 200_000), ("a page", b"<p>" * 50_000)):
        yield odd(f"much behind the end: {label}", make_epub(suffix=junk))
    plain = [Entry(name=name.encode(), data=data, method=_STORED) for name, data in plain_entries()]
    at = pack(plain).index(c1.encode()) - 30
    again = Entry(name=c1.encode(), data=chapter("one two three"), method=_STORED, local=False, offset=at)
    yield odd("one entry listed twice", pack([*plain, again]), "entry-name")
    unused = Entry(name=b"OEBPS/unused.bin", data=b"x", crc=7)
    yield odd("damaged entry that is not needed", make_epub(extra=[unused]))


def _odd_names() -> Iterator[OddEpub]:
    """Entries that are named by the computer they were packed on, or in one folder more; calibre opens both."""
    inside = [Entry(name=b"A Book/" + name.encode(), data=data, method=_STORED) for name, data in plain_entries()]
    of_a_mac = [Entry(name=b"__MACOSX/A Book/META-INF/container.xml", data=b"x"), Entry(name=b"x/._y.opf", data=b"x")]
    yield odd("in a folder", pack([*inside, *of_a_mac]), "entry-name")
    for page, name in (
        ("cp1252", "café"),
        ("cp866", "глава"),
        ("gb18030", "第一章"),
        ("cp932", "第一章"),
        ("cp932", "表紙"),
        ("cp949", "제1장"),
    ):
        legacy = Entry(name=f"OEBPS/{name}.xhtml".encode(page), data=chapter("one two three"), flags=0)
        there = package(documents=(f"{name}.xhtml",))
        book = make_epub(opf=there, files={"OEBPS/c1.xhtml": None}, extra=[legacy])
        yield odd(f"{name} in {page}", book, "href-spelling", *(["entry-name"] if name == "表紙" else []))


def _odd_packages() -> Iterator[OddEpub]:
    two = CONTAINER.format(path="OEBPS/book.opf").replace(
        "</rootfiles>", '<rootfile full-path="other.opf" media-type="application/oebps-package+xml"/></rootfiles>'
    )
    yield odd("two package documents", make_epub(files={"META-INF/container.xml": two.encode()}), "rootfile")
    pdf_first = CONTAINER.format(path="OEBPS/book.opf").replace(
        "<rootfiles>", '<rootfiles><rootfile full-path="book.pdf" media-type="application/pdf"/>'
    )
    yield odd("PDF rendition first", make_epub(files={"META-INF/container.xml": pdf_first.encode()}))
    first_gone = CONTAINER.format(path="OEBPS/book.opf").replace(
        "<rootfiles>", '<rootfiles><rootfile full-path="gone.opf" media-type="application/oebps-package+xml"/>'
    )
    yield odd("first package not there", make_epub(files={"META-INF/container.xml": first_gone.encode()}), "rootfile")
    for label, path in (("from the root", "/OEBPS/book.opf"), ("above the root", "../%2e%2e/OEBPS/book.opf")):
        container = CONTAINER.format(path=path).encode()
        yield odd(f"package {label}", make_epub(files={"META-INF/container.xml": container}), "rootfile")
    yield from _odd_containers()
    cased = CONTAINER.format(path="oebps/Book.opf").encode()
    yield odd("package in other case", make_epub(files={"META-INF/container.xml": cased}), "rootfile")
    bare = package().decode()
    for namespace in ("http://www.idpf.org/2007/opf", "http://purl.org/dc/elements/1.1/"):
        yield odd(
            f"namespace {namespace} missing", make_epub(opf=bare.replace(namespace, "").encode()), "package-namespace"
        )
    undeclared = bare.replace(' xmlns:dc="http://purl.org/dc/elements/1.1/"', "")
    yield odd("prefix not declared", make_epub(opf=undeclared.encode()), "package-namespace")
    oeb = bare.replace('xmlns="http://www.idpf.org/2007/opf" ', "").replace("<dc:title>", "<dc-metadata><dc:Title>")
    oeb = oeb.replace("</dc:title>", "</dc:Title></dc-metadata>").replace(
        "application/xhtml+xml", "text/x-oeb1-document"
    )
    oeb = oeb.replace(
        "?>\n", '?>\n<!DOCTYPE package PUBLIC "+//ISBN 0-9673008-1-9//DTD OEB 1.2 Package//EN" "oeb.dtd">'
    )
    yield odd("OEB 1 package", make_epub(opf=oeb.encode()), "package-namespace")
    yield odd("BOM before the declaration", make_epub(opf=b"\xef\xbb\xbf" + package()))
    yield odd("space before the declaration", make_epub(opf=b"\n " + package()))
    yield odd("package in UTF-16", make_epub(opf=bare.replace("utf-8", "utf-16").encode("utf-16")))
    yield odd("no title", make_epub(title=None), "metadata")
    yield odd("blank title", make_epub(title="  "), "metadata")
    yield odd("no language", make_epub(language=None), "metadata")
    yield odd("no identifier", make_epub(identifier=None), "metadata")
    yield odd("no creator", make_epub(creators=()))
    yield odd("date without a year", make_epub(published="yesterday"), "metadata")
    yield odd("date unknown to calibre", make_epub(published="0101-01-01T00:00:00+00:00"), "metadata")
    yield from _odd_markup()
    fonts = encryption("OEBPS/font.otf", "http://www.idpf.org/2008/embedding")
    font_files = {"META-INF/encryption.xml": fonts, "OEBPS/font.otf": b"font"}
    yield odd("fonts obfuscated", make_epub(files=font_files))
    torn = Entry(name=b"META-INF/encryption.xml", data=b"x", packed=b"\xff")
    yield odd("encryption.xml damaged", make_epub(extra=[torn]), "encrypted-resource")
    cover_locked = {"META-INF/encryption.xml": encryption("OEBPS/cover.png")}
    yield odd("cover encrypted", make_epub(cover=PNG, files=cover_locked), "encrypted-resource")


def _odd_containers() -> Iterator[OddEpub]:
    """Where container.xml does not lead to the package, any file named so is it (calibre's EPUB input, `find_opf`)."""
    container = "META-INF/container.xml"
    for label, content in (
        ("missing", None),
        ("without a rootfile", b"<container/>"),
        ("of another book", CONTAINER.format(path="content.opf").encode()),
    ):
        yield odd(f"container {label}", make_epub(files={container: content}), "rootfile")
    for label, content in (("empty", b""), ("cut off", b"<container><")):
        yield odd(f"container {label}", make_epub(files={container: content}), "rootfile", "not-well-formed")
    for kind in ("", ' media-type=""', ' media-type="text/xml"'):  # epub.js takes the first rootfile, whatever it is
        rootfile = f'<container><rootfiles><rootfile full-path="book.xml"{kind}/></rootfiles></container>'
        moved = package(documents=("OEBPS/c1.xhtml",))
        files = {container: rootfile.encode(), "OEBPS/book.opf": None, "book.xml": moved}
        yield odd(f"rootfile of another name{kind}", make_epub(files=files))
    torn = Entry(name=container.encode(), data=b"x", packed=b"\xff" * 9)
    yield odd("container damaged", make_epub(files={container: None}, extra=[torn]), "rootfile")
    collection = (
        '<collection role="index"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>Index</dc:title>'
        "<dc:creator>Nobody</dc:creator></metadata><manifest><item id='i0' href='no'/></manifest>"
        '<collection role="x"/><link href="no"/></collection>'
    )
    yield odd("collection", make_epub(opf=package().replace(b"<metadata", collection.encode() + b"<metadata")))


def _odd_markup() -> Iterator[OddEpub]:
    """Package documents, and others that the book depends on, which are no XML."""
    sound = package().decode()
    for label, old, new in (
        ("ampersand in an id", '"i0"', '"a_&_b"'),
        ("ampersand in a href", 'href="c1.xhtml"', 'href="c1.xhtml?a&b"'),
        ("ampersand in a value", "A Press", "Simon & Sons"),
        ("control character", "A Press", "A\x0bPress"),
        ("reference to a control character", "A Press", "A&#x1F;Press"),
        ("attribute twice", '<itemref idref="i0"', '<itemref idref="i0" idref="i0"'),
        ("attribute without quotes", 'idref="i0"', "idref=i0 "),
        ("bytes behind", "</package>", "</package>\0\0junk"),
        ("element never closed", "</dc:title>", ""),
        ("tag inside a comment's end", "<dc:title>", "<!-- a -- b --><dc:title>"),
        ("cut off in the end", "</spine></package>", "</spi"),
    ):
        yield odd(f"package: {label}", make_epub(opf=sound.replace(old, new).encode()), "not-well-formed")
    named = package(metadata="<dc:source>&eacute;</dc:source>")
    yield odd("package: HTML entities", make_epub(opf=named), "named-entity")
    for label, old, new in (
        ("in a comment", "<metadata", '<!-- <!ENTITY a "b"> --><metadata'),
        ("in an instruction", "<metadata", "<?x <!ENTITY ?><metadata"),
        ("in CDATA", "</metadata>", "<dc:source><![CDATA[<!ENTITY]]></dc:source></metadata>"),
    ):
        yield odd(f"package: <!ENTITY {label}", make_epub(opf=sound.replace(old, new).encode()), "entity-declaration")
    for label, opf in hostile_packages():
        yield odd(f"package: {label}", make_epub(opf=opf), "entity-declaration")
    latin = package(publisher="Café").decode().encode("latin-1")
    yield odd("package: other bytes than UTF-8", make_epub(opf=latin), "encoding")
    container = CONTAINER.format(path="OEBPS/book.opf")
    for label, name, text in (
        ("cut off", "container", container.partition("</rootfiles>")[0]),
        ("ampersand", "container", container.replace("<rootfiles>", '<rootfiles x="&">')),
        ("cut off", "encryption", encryption("OEBPS/font.otf").decode().partition("</enc:CipherData>")[0]),
        ("nothing in it", "encryption", ""),
    ):
        data = make_epub(files={f"META-INF/{name}.xml": text.encode(), "OEBPS/font.otf": b"x"})
        yield odd(f"{name}: {label}", data, "not-well-formed")


def hostile_packages() -> Iterator[tuple[str, bytes]]:
    """Package documents whose title would be what a declared entity stands for."""
    opf = package().decode().partition("?>\n")[2]
    laughs = '<!DOCTYPE x [<!ENTITY a "ha">' + "".join(
        f'<!ENTITY {new} "{f"&{old};" * 10}">' for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    xxe = '<!DOCTYPE x [<!ENTITY i SYSTEM "file:///etc/passwd">]>'
    late = "<!DOCTYPE x [<!-- " + "x" * 200_000 + ' --><!ENTITY i "b">]>'
    parameter = '<!DOCTYPE x [<!ENTITY % p SYSTEM "http://127.0.0.1:9/x.dtd"> %p;]>'
    for label, doctype in (
        ("entity expansion", laughs + "]>"),
        ("external entity", xxe),
        ("entity declared late", late),
        ("parameter entity", parameter),
    ):
        yield label, (doctype + opf).replace("A Book", "A Book &i;").encode()
    yield "external entity in UTF-16", (xxe + opf).replace("A Book", "A Book &i;").encode("utf-16")


def _odd_spines() -> Iterator[OddEpub]:
    c1 = "OEBPS/c1.xhtml"
    yield odd("one chapter missing", make_epub(("one two three", "x"), files={"OEBPS/c2.xhtml": None}), "missing-entry")
    yield odd("href in other case", make_epub(opf=package(documents=("C1.XHTML",))), "href-spelling")
    escaped = make_epub(
        opf=package(documents=("c%201.xhtml",)), files={c1: None, "OEBPS/c%201.xhtml": chapter("a b c")}
    )
    yield odd("entry named by the escaped href", escaped, "href-spelling")
    # ebooklib takes an href as it is, but for its escapes.
    for href, stored in (("c#1?.xhtml",) * 2, ("caf%E9.xhtml", "café.xhtml"), ("c%25201.xhtml", "c 1.xhtml")):
        files = {c1: None, f"OEBPS/{stored}": chapter("a b c")}
        yield odd(f"href {href} of {stored}", make_epub(opf=package(documents=(href,)), files=files), "href-spelling")
    composed = package(documents=("e\u0301.xhtml",))
    decomposed = make_epub(opf=composed, files={c1: None, "OEBPS/\u00e9.xhtml": chapter("a b c")})
    yield odd("href in other Unicode form", decomposed, "href-spelling")
    yield odd("fragment in href", make_epub(opf=package(documents=("c1.xhtml#start",))))
    yield odd("backslash in href", make_epub(opf=package(documents=("text\\..\\c1.xhtml",))))
    for label, href in (
        ("above the root", "../../../OEBPS/c1.xhtml"),
        ("above the root escaped", "%2e%2e/.%2E/OEBPS/c1.xhtml"),
        ("from the root", "/OEBPS/c1.xhtml"),
    ):
        yield odd(f"href {label}", make_epub(opf=package(documents=(href,))), "href-spelling")
    yield odd("href with line ends", make_epub(opf=package(documents=(" c1.x&#10;ht&#9;ml &#13;",))))
    outside = package(documents=("c1.xhtml", "../../../etc/passwd", "/etc/passwd"))
    yield odd("href of a file of the machine", make_epub(opf=outside), "missing-entry")
    for label, href in (
        ("climbing by escaped separator", "..%2f..%2fx.xhtml"),
        ("drive letter", "C:\\x.xhtml"),
        ("remote", "https://example.com/c.xhtml"),
        ("network share", "//server/c.xhtml"),
        ("empty", ""),
    ):
        yield odd(f"href {label}", make_epub(opf=package(documents=("c1.xhtml", href))), "manifest-href")
    no_item = package(spine='<itemref idref="nowhere"/>')
    yield odd("spine item not in the manifest", make_epub(opf=no_item), "spine-item")
    yield odd("spine item twice", make_epub(opf=package(spine='<itemref idref="i0"/>')), "spine-item")
    aside = package(
        documents=("c1.xhtml",), manifest='<item id="n" href="n.xhtml" media-type="application/xhtml+xml"/>'
    )
    aside = aside.replace(b"</spine>", b'<itemref idref="n" linear="no"/></spine>')
    yield odd("item that is not linear", make_epub(opf=aside, files={"OEBPS/n.xhtml": chapter("x")}))
    none_linear = package().replace(b'idref="i0"', b'idref="i0" linear="no"')
    yield odd("no item is linear", make_epub(opf=none_linear), "spine-item")
    fallback = '<item id="f" href="f.bin" media-type="application/x-f" fallback="g"/>'
    fallback += '<item id="g" href="g.xhtml" media-type="application/xhtml+xml"/>'
    with_fallback = package(manifest=fallback, spine='<itemref idref="f"/>')
    yield odd("fallback", make_epub(opf=with_fallback, files={"OEBPS/g.xhtml": chapter("a b")}), words=7)
    circle = '<item id="f" href="f.bin" media-type="application/x-f" fallback="g"/>'
    circle += '<item id="g" href="g.bin" media-type="application/x-g" fallback="f"/>'
    in_circles = package(manifest=circle, spine='<itemref idref="f"/>')
    yield odd("fallback in a circle", make_epub(opf=in_circles), "spine-item")
    mistyped = package().replace(b"application/xhtml+xml", b"application/octet-stream")
    yield odd("wrong media type", make_epub(opf=mistyped))
    short = package(documents=("c1.xht",)).replace(b"application/xhtml+xml", b"text/plain")
    renamed = {c1: None, "OEBPS/c1.xht": chapter("a b c"), "OEBPS/c1": chapter("a b c")}
    yield odd("wrong media type and short name", make_epub(opf=short, files=renamed))
    untyped = package(documents=("c1",)).replace(b' media-type="application/xhtml+xml"', b"")
    yield odd("no media type and no extension", make_epub(opf=untyped, files=renamed))


def _odd_chapters() -> Iterator[OddEpub]:
    yield odd(
        "not well-formed", make_epub((b"<html><body><p>one<br>two <b>three</p></body>",)), "not-well-formed", words=3
    )
    yield odd("plain text", make_epub((b"one two three",)), "not-well-formed", words=3)
    yield odd("one empty chapter", make_epub(("one two three", b"")), "empty-chapter")
    words = b" one two three" * 200
    for label, other in (("PDF", b"%PDF-1.7\n"), ("ZIP", b"PK\3\4"), ("JPEG", JPEG), ("Word", b"\xd0\xcf\x11\xe0")):
        yield odd(f"a {label} as a chapter", make_epub(("one two three", other + words)), "empty-chapter")
    yield odd("named entities", make_epub(("caf&eacute;&nbsp;au&nbsp;lait",)), "named-entity")
    xhtml_dtd = b'<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.1//EN" "http://www.w3.org/TR/xhtml11/DTD/xhtml11.dtd">'
    with_dtd = chapter("caf&eacute;&nbsp;au&nbsp;lait").replace(b"<!DOCTYPE html>", xhtml_dtd)
    yield odd("named entities of a DTD", make_epub((with_dtd,)))
    bomb = chapter("&a;&a; one").replace(b"<!DOCTYPE html>", b'<!DOCTYPE html [<!ENTITY a "b b b">]>')
    yield OddEpub("entities declared", make_epub((bomb,)), 4, frozenset({"entity-declaration"}))
    latin = chapter("été à la plage").decode()
    yield odd("latin-1", make_epub((latin.replace("utf-8", "iso-8859-1").encode("latin-1"),)), "encoding", words=5)
    yield odd("undeclared latin-1", make_epub((latin.encode("latin-1"),)), "encoding", words=4)
    yield odd("UTF-16 with BOM", make_epub((latin.replace("utf-8", "utf-16").encode("utf-16"),)), words=5)
    yield odd("UTF-16 without BOM", make_epub((latin.replace("utf-8", "utf-16").encode("utf-16-be"),)), words=5)
    yield odd("UTF-8 declared as UTF-16", make_epub((latin.replace("utf-8", "utf-16").encode(),)), words=5)
    for label in ("macintosh", "windows-1251", "no-such"):
        said = latin.replace('<?xml version="1.0" encoding="utf-8"?>', "").replace(
            "<head>", f'<head><meta charset="{label}"/>'
        )
        yield odd(f"UTF-8 with a meta of {label}", make_epub((said.encode(),)), words=5)
    russian = '<html><head><meta charset="windows-1251"/></head><body>Война и мир</body></html>'
    yield odd("a meta of windows-1251 that holds", make_epub((russian.encode("cp1251"),)), "encoding", words=3)
    for label in ("utf-7", "zlib_codec", "unicode_escape", "idna", "x" * 30):
        yield odd(
            f"hostile encoding {label}", make_epub((latin.replace("utf-8", label).encode(),)), "encoding", words=5
        )
    japanese = chapter("日本", heading="x").decode().replace("utf-8", "Shift_JIS").encode("cp932")
    yield odd("Shift JIS", make_epub((japanese,)), "encoding", words=3)

    deep = b"<html><body>" + b"".join(b"<div>word%d " % number for number in range(300))
    never_closed = b"<html><body>" + b"<p>one two three" * 3_000
    yield odd("3,000 paragraphs, never closed", make_epub((never_closed,)), "not-well-formed", words=9_000)
    yield odd("300 levels, never closed", make_epub((deep,)), "not-well-formed", words=300)
    closed = chapter("<b>" * 900 + "a b" + "</b>" * 900)
    yield odd("900 levels", make_epub((closed,)), words=3)
    yield from _odd_pictures()
    c2 = "OEBPS/c2.xhtml"
    for label, bad in (
        ("30,000 levels", Entry(name=c2.encode(), data=b"<html><body>" + b"<div>x " * 30_000)),
        ("wrong checksum", Entry(name=c2.encode(), data=chapter("a"), crc=1)),
        ("packed with LZMA", Entry(name=c2.encode(), data=chapter("a"), method=14)),
        ("ZIP password", Entry(name=c2.encode(), data=chapter("a"), flags=_UTF8_FLAG | 1)),
        ("larger than is read", Entry(name=c2.encode(), data=chapter(" " * 17_000_000))),
        ("cut short", Entry(name=c2.encode(), data=chapter("a"), packed=_deflated(chapter("a"))[:-9])),
    ):
        book = make_epub(("one two three", "x"), files={c2: None}, extra=[bad])
        yield odd(f"one chapter: {label}", book, "chapter-left-out")
    half_locked = make_epub(("one two three", "x"), files={"META-INF/encryption.xml": encryption(c2)})
    yield odd("one chapter: encrypted", half_locked, "encrypted-resource")


def _odd_pictures() -> Iterator[OddEpub]:
    """One attribute of more than a megabyte is harmless, whatever is in it."""
    base64 = "".join(f"{number * 2654435761 % 2**32:08x}/+" for number in range(150_000))
    lines = "".join(base64[at : at + 76] + "\r\n" for at in range(0, len(base64), 76))
    drawing = " ".join(f"L {number} {number * 7919 % 1000}" for number in range(60_000))
    for label, picture in (
        ("base64", f'<img alt="" src="data:image/jpeg;base64,{base64}"/>'),
        ("base64 in lines", f"<img alt = ' ' src = 'data:image/jpeg;base64,\n{lines}' title='a'/>"),
        ("a drawing's path", f'<svg xmlns="http://www.w3.org/2000/svg"><path d="{drawing}"/></svg>'),
        ("SVG with quotes", f"""<img alt="" src="data:image/svg+xml,%3Csvg%3E%3Cpath d='{drawing}'/%3E"/>"""),
    ):
        document = chapter(f"one two three</p>{picture}<p>")
        yield odd(f"picture: {label}", make_epub((document,)))
        yield odd(f"picture in HTML: {label}", make_epub((document.replace(b"<p>", b"<p a>"),)), "not-well-formed")
    unescaped = f"""<p>one two three</p><img src='data:image/svg+xml,<svg a="b"><path d="{drawing}"/></svg>'>"""
    yield odd("picture in HTML: SVG unescaped", make_epub((unescaped.encode(),)), "not-well-formed", words=3)


def _odd_covers() -> Iterator[OddEpub]:
    yield odd("cover", make_epub(cover=PNG))
    disguised = package(cover="cover.png")
    yield odd("cover of another type", make_epub(opf=disguised, files={"OEBPS/cover.png": JPEG}), "cover")
    yield odd("cover is HTML", make_epub(opf=disguised, files={"OEBPS/cover.png": b"<html/>"}), "cover")
    yield odd("cover too large", make_epub(opf=disguised, files={"OEBPS/cover.png": PNG + b"\0" * 17_000_000}), "cover")
    yield odd("cover missing", make_epub(opf=disguised), "missing-entry")
    yield odd("cover id unknown", make_epub(opf=package(metadata='<meta name="cover" content="no"/>')), "cover")
    item = '<item id="x" href="cover.jpg" media-type="image/jpeg"/>'
    for content in ("cover.jpg", "COVER.JPG", "/OEBPS/cover.jpg", "./c%6Fver.jpg"):
        by_path = package(manifest=item, metadata=f'<meta name="cover" content="{content}"/>')
        yield odd(f"cover named {content}", make_epub(opf=by_path, files={"OEBPS/cover.jpg": JPEG}), "cover")
    yield from _odd_cover_pages()
    drawn = '<item id="s" href="s.svg" media-type="image/svg+xml" properties="cover-image" fallback="x"/>' + item
    both = {"OEBPS/cover.jpg": JPEG, "OEBPS/s.svg": b"<svg/>"}
    yield odd("cover with a fallback", make_epub(opf=package(manifest=drawn), files=both))
    gone = package(manifest=drawn.replace(' fallback="x"', ""), metadata='<meta name="cover" content="x"/>')
    yield odd("cover missing, another named", make_epub(opf=gone, files={"OEBPS/cover.jpg": JPEG}), "missing-entry")


def _odd_cover_pages() -> Iterator[OddEpub]:
    """Covers that no metadata names as an image: readers (foliate-js, calibre) look further."""
    items = (
        '<item id="p" href="p.xhtml" media-type="application/xhtml+xml"/>'
        '<item id="x" href="i/c.jpg" media-type="image/jpeg"/>'
    )
    page = b'<html><body><svg><image xlink:href="../OEBPS/i/%63.jpg"/></svg><img src="no.png"/></body></html>'
    files = {"OEBPS/i/c.jpg": JPEG, "OEBPS/p.xhtml": page}
    for href in ("p.xhtml", "i/c.jpg", "./p.xhtml#top"):
        guide = f'</spine><guide><reference type="Cover" title="a" href="{href}"/></guide>'.encode()
        in_guide = package(manifest=items).replace(b"</spine>", guide)
        yield odd(f"cover named by the guide: {href}", make_epub(opf=in_guide, files=files))
    by_meta = package(manifest=items, metadata='<meta name="cover" content="p"/>')
    yield odd("cover named: its page", make_epub(opf=by_meta, files=files))
    for label, body in (("empty", b"<html/>"), ("of itself", b'<html><img src="p.xhtml"/></html>')):
        yield odd(f"cover page {label}", make_epub(opf=by_meta, files=files | {"OEBPS/p.xhtml": body}), "cover")
    by_id = package(manifest=items.replace('"x"', '"Cover-Image"'))
    yield odd("cover named by its id alone", make_epub(opf=by_id, files=files), "cover")


def encryption(path: str, algorithm: str = "http://www.w3.org/2001/04/xmlenc#aes128-cbc") -> bytes:
    """An encryption.xml that covers one entry (OCF 3.3: META-INF/encryption.xml)."""
    return (
        '<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container" '
        'xmlns:enc="http://www.w3.org/2001/04/xmlenc#"><enc:EncryptedData>'
        f'<enc:EncryptionMethod Algorithm="{algorithm}"/>'
        f'<enc:CipherData><enc:CipherReference URI="{path}"/></enc:CipherData></enc:EncryptedData></encryption>'
    ).encode()


def _overlapping() -> bytes:
    """Two thousand names for one packed kernel: the directory points to one local header again and again."""
    kernel = _deflated(b"\0" * 1_000_000)
    bomb = [
        Entry(name=b"b%04d" % number, packed=kernel, declared_size=1_000_000, local=number == 0, offset=0)
        for number in range(2_000)
    ]
    return pack(bomb)


def _quoted() -> bytes:
    """Each entry's data holds the next entry whole, as in bamsoftware.com/hacks/zipbomb ("quoted overlap")."""
    inner = Entry(name=b"inner", data=b"x" * 500, method=_STORED)
    local = pack([inner])[: 30 + len(inner.name) + 500]
    outer = Entry(name=b"outer", data=local, method=_STORED)
    return pack([outer, Entry(name=inner.name, data=inner.data, method=_STORED, local=False, offset=35)])


@lru_cache(maxsize=8)
def _deflated(data: bytes) -> bytes:
    """Quickly rather than well: the books are made by every worker of the tests."""
    compressor = zlib.compressobj(1, zlib.DEFLATED, -15)
    return compressor.compress(data) + compressor.flush()
