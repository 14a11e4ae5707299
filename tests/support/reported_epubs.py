"""EPUBs that people reported at readers and libraries (calibre, KOReader, ebooklib, foliate, Kavita), which those read.

Each is as small as it can be and made here.
"""

import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from tests.support.epubs import CONTAINER, JPEG, Entry, OddEpub, chapter, make_epub, odd, package, plain_entries

_C1 = "OEBPS/c1.xhtml"
_TEXT = chapter("one two three")


def reported_epubs() -> Iterator[OddEpub]:
    """Files that must be read, in the form of `deviating_epubs`."""
    yield from _directories()
    yield from _names()
    yield from _spines()
    yield from _covers()


def _directories() -> Iterator[OddEpub]:
    """The ZIP's directory is missing, damaged or not where the end record says; its files are all there."""
    sound = make_epub()
    directory, end = sound.index(b"PK\1\2"), sound.index(b"PK\5\6")
    size, offset = struct.unpack_from("<2I", sound, end + 12)
    for label, data in (
        ("missing", sound[:directory]),
        ("cut off", sound[: directory + 60]),
        ("without an end record", sound[:end]),
        ("zeroed", sound[:directory] + b"\0" * (len(sound) - directory)),
        ("too far", _with(sound, end + 16, offset + 7)),
        ("at 0", _with(sound, end + 16, 0)),
        ("too large", _with(sound, end + 12, size + 9)),
        ("behind an end record in the comment", sound[:-2] + struct.pack("<H4s", 30, b"PK\5\6") + b"x" * 26),
        ("with a name that is not UTF-8", make_epub(extra=[Entry(name=b"OEBPS/\xe9.txt", data=b"x")])),
    ):
        yield odd(f"directory {label}", data, "zip-directory")
    yield odd("first bytes overwritten", b"\0" * 8 + sound[8:], "mimetype")
    shortened = sound[:directory] + sound[directory:].replace(_C1.encode(), _C1.encode()[:9].ljust(len(_C1), b"\0"))
    yield odd("directory with a name that NULs fill up", shortened)
    streamed = _streamed()
    cut = streamed[: streamed.index(b"PK\1\2")]
    yield odd("directory missing, sizes behind the files", cut, "zip-directory")
    stored = Entry(name=b"OEBPS/a.bin", data=b"PK\7\x08" * 40_000, method=0)
    sound = make_epub(extra=[stored])
    yield odd("directory missing, large file", sound[: sound.index(b"PK\1\2")], "zip-directory")


def _with(data: bytes, at: int, value: int) -> bytes:
    return data[:at] + struct.pack("<I", value) + data[at + 4 :]


def _streamed() -> bytes:
    """A sound book, written without going back: the sizes of each file are behind it. The first file holds a lure."""

    class Stream(BytesIO):
        def seekable(self) -> bool:
            return False

        def tell(self) -> int:
            raise OSError

    stream = Stream()
    with ZipFile(stream, "w", ZIP_DEFLATED) as archive:
        for name, data in plain_entries():
            archive.writestr(ZipInfo(name), data)
        archive.writestr(ZipInfo("OEBPS/lure.bin"), b"PK\7\x08" * 500)
    return stream.getvalue()


def _names() -> Iterator[OddEpub]:
    for page, name in (
        ("cp737", "κεφ"),
        ("cp1253", "κεφ"),
        ("cp1254", "şğ"),
        ("cp862", "פרק"),
        ("cp1255", "פרק"),
        ("cp1256", "فصل"),
        ("cp874", "บท"),
        ("cp1258", "chương"),
        ("euc_jp", "第一章"),
        ("mac_roman", "café"),
    ):
        legacy = Entry(name=f"OEBPS/{name}.xhtml".encode(page), data=_TEXT, flags=0)
        book = make_epub(opf=package(documents=(f"{name}.xhtml",)), files={_C1: None}, extra=[legacy])
        yield odd(f"{name} in {page}", book, "href-spelling")
    yield odd("name in an extra field", _named_beside(), "entry-name")
    inside = Entry(name=b"OEBPS/../c1.xhtml", data=_TEXT)
    book = make_epub(opf=package(documents=("../c1.xhtml",)), files={_C1: None}, extra=[inside])
    yield odd("name with dots that stay inside", book, "entry-name")
    yield odd("name with a colon", make_epub(extra=[Entry(name=b"a:b.txt", data=b"x")]))
    for href in ("text%2Fc1.xhtml", "../OEBPS%2ftext%2fc1.xhtml"):
        files = {_C1: None, "OEBPS/text/c1.xhtml": _TEXT}
        yield odd(f"href {href}", make_epub(opf=package(documents=(href,)), files=files), "href-spelling")
    escaped = CONTAINER.format(path="OEBPS%2Fbook.opf").encode()
    yield odd("rootfile with an escaped slash", make_epub(files={"META-INF/container.xml": escaped}), "rootfile")


def _named_beside() -> bytes:
    """A chapter named in a code page that says nothing, and in an extra field in UTF-8 (APPNOTE 4.6.9)."""
    raw, name = b"OEBPS/\xff\xfe.xhtml", "OEBPS/ꦏ.xhtml".encode()
    file = BytesIO()
    with ZipFile(file, "w", ZIP_DEFLATED) as archive:
        for path, data in plain_entries():
            if path != _C1:
                archive.writestr(ZipInfo(path), package(documents=("ꦏ.xhtml",)) if path.endswith(".opf") else data)
        info = ZipInfo("OEBPS/xx.xhtml")
        other = struct.pack("<2H3s", 0x5455, 3, b"abc")
        info.extra = other + struct.pack("<2HBI", 0x7075, 5 + len(name), 1, zlib.crc32(raw)) + name
        archive.writestr(info, _TEXT)
    return file.getvalue().replace(b"OEBPS/xx.xhtml", raw)


def _spines() -> Iterator[OddEpub]:
    sound = package().decode()
    navigation = '<item id="n" href="n.xhtml" media-type="application/xhtml+xml" properties="nav"/></manifest>'
    sound = sound.replace("</manifest>", navigation)
    for label, old, new in (
        ("missing", '<spine><itemref idref="i0"/></spine>', ""),
        ("empty", '<itemref idref="i0"/>', ""),
        ("of unknown ids", 'idref="i0"', 'idref="zz"'),
        ("of ids in other case", 'idref="i0"', 'idref="I0"'),
        ("of hrefs", 'idref="i0"', 'idref="c1.xhtml"'),
    ):
        files = {"OEBPS/n.xhtml": chapter("not read")}
        yield odd(f"spine {label}", make_epub(opf=sound.replace(old, new).encode(), files=files), "spine-item")
    for kind, name in (
        ("text/xhtml", "c1"),
        ("application/html", "c1.php"),
        ("application/xhtml", "c1.tmpl"),
        ("text/plain", "c1.shtml"),
        ("application/octet-stream", "c1.xhtm"),
    ):
        opf = package(documents=(name,)).replace(b"application/xhtml+xml", kind.encode())
        yield odd(f"{name} as {kind}", make_epub(opf=opf, files={_C1: None, f"OEBPS/{name}": _TEXT}))
    twice = sound.replace("<manifest>", '<manifest><item id="i0" href="cover.jpg" media-type="image/jpeg"/>')
    files = {"OEBPS/n.xhtml": b"", "OEBPS/cover.jpg": JPEG}
    yield odd("a picture with the id of a chapter", make_epub(opf=twice.encode(), files=files), "spine-item", "cover")
    zipped = zlib.compress(_TEXT, wbits=31)
    yield odd("a gzip file as a chapter", make_epub(("one two three", zipped)), "empty-chapter")


def _covers() -> Iterator[OddEpub]:
    for item_id, href in (
        ("img1", "images/cover.jpg"),
        ("img1", "Cover_1.jpeg"),
        ("my-cover-image", "a.jpg"),
        ("cover.jpg", "a.jpg"),
        ("coverimagestandard", "a.jpg"),
        ("img1", "FrontCover.jpg"),
    ):
        item = f'<item id="{item_id}" href="{href}" media-type="image/jpg"/>'
        book = make_epub(opf=package(manifest=item), files={f"OEBPS/{href}": JPEG})
        yield odd(f"cover named {item_id}, {href}", book, "cover")
    both = (
        '<item id="x" href="p" media-type="application/xhtml+xml"/><item id="x" href="a.jpg" media-type="image/jpeg"/>'
    )
    named = package(manifest=both, metadata='<meta name="cover" content="x"/>')
    yield odd("cover named by an id of two", make_epub(opf=named, files={"OEBPS/a.jpg": JPEG, "OEBPS/p": _TEXT}))
    for item_id, href in (("img1", "discover.jpg"), ("back-cover", "a.jpg"), ("coverage", "recovered.jpg")):
        item = f'<item id="{item_id}" href="{href}" media-type="image/jpeg"/>'
        yield odd(
            f"cover: none, {item_id}, {href}", make_epub(opf=package(manifest=item), files={f"OEBPS/{href}": JPEG})
        )
    yield from _cover_pages()


def _cover_pages() -> Iterator[OddEpub]:
    files = {"OEBPS/a.jpg": JPEG, "OEBPS/p": chapter('<img src="data:image/png;base64,AA"/><img src="a.jpg" alt=""/>')}
    marked = '<item id="p" href="p" media-type="application/xhtml+xml" properties="Cover-Image"/>'
    yield odd("cover named: a page without an extension", make_epub(opf=package(manifest=marked), files=files))
    kindle = '<item id="x" href="a.jpg" media-type="image/jpeg" properties="coverimage"/>'
    yield odd("cover named by kindlegen's property", make_epub(opf=package(manifest=kindle), files=files))
    metas = '<meta name="cover" content="no"/><meta name="cover" content="x"/>'
    item = '<item id="x" href="a.jpg" media-type="image/jpeg"/>'
    for label, names in (("twice, first wrongly", metas), ("by a property", '<meta property="cover" content="x"/>')):
        book = make_epub(opf=package(metadata=names, manifest=item), files=files)
        yield odd(f"cover named {label}", book)
    for kind, first in (("coverpage", "no.xhtml"), ("other.cover", "no.jpg"), ("cover", "")):
        guide = (
            f'</spine><guide><reference type="cover" href="{first}"/><reference type="{kind}" href="a.jpg"/></guide>'
        )
        book = make_epub(opf=package().replace(b"</spine>", guide.encode()), files=files)
        yield odd(f"cover named by the guide as {kind}", book)
    page = '<html xmlns="http://www.w3.org/1999/xhtml"><head><title>x</title></head><body>{}</body></html>'
    svg = '<svg xmlns="http://www.w3.org/2000/svg"><image href="a.jpg"/></svg>'
    for label, body, words, codes in (
        ("named by the first page alone", f"<div> {svg} </div>", 4, ("cover",)),
        ("none on a first page with text", f"<p>one {svg}</p>", 5, ()),
        ("none on a first page without a picture", "<hr/>", 4, ()),
    ):
        book = make_epub((page.format(body).encode(), "one two three"), files=files)
        yield odd(f"cover {label}", book, *codes, words=words)
