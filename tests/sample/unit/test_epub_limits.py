"""Each limit of EpubLimits stops what it is for; what reading costs in memory."""

import io
import struct
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import pytest

from library.epub import EpubError, EpubErrorCode, EpubLimits, read_epub
from library.epub.paths import UnusableHref, resolve
from tests.support.epubs import JPEG, Entry, chapter, make_epub, package

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("limits", "data"),
    [
        (
            EpubLimits(max_directory_bytes=100_000),
            make_epub(extra=[Entry(name=b"%05d" % n + b"x" * 995) for n in range(100)]),
        ),
        (EpubLimits(max_entries=3), make_epub(("a", "b"))),
        (EpubLimits(max_document_bytes=1_000), make_epub(("a " * 1_000,))),
        (EpubLimits(max_package_bytes=300), make_epub()),
        (EpubLimits(max_total_bytes=10_000), make_epub(["a " * 1_000] * 10)),
        (EpubLimits(max_ratio=5, ratio_floor_bytes=0), make_epub(("a " * 1_000,))),
        (EpubLimits(max_depth=4), make_epub(("<b><i>x</i></b>",))),
        (EpubLimits(max_looks=100), make_epub((b"<html><body>x" + b"<b>" * 20 + b"</i>" * 20,))),
        (EpubLimits(max_elements=20), make_epub(("<b/>" * 20,))),
        (EpubLimits(max_attributes=1_000), make_epub(("<b" + "".join(f" a{n}=''" for n in range(30_000)) + "/>",))),
        (EpubLimits(max_manifest_items=1), make_epub(("a", "b"))),
        (EpubLimits(max_chapters=1), make_epub(("a", "b"))),
    ],
    ids=lambda value: None if isinstance(value, bytes) else str(value)[:0],
)
def test_limit(limits: EpubLimits, data: bytes) -> None:
    """The book is read under the default limits and refused under the tighter one."""
    assert read_epub(io.BytesIO(data)).words
    with pytest.raises(EpubError) as caught:
        read_epub(io.BytesIO(data), limits)
    assert caught.value.code == EpubErrorCode.LIMIT_EXCEEDED


def test_entries_that_are_not_read_do_not_count() -> None:
    """A large picture in the book is no reason to refuse it: only what is read counts."""
    picture = Entry(name=b"OEBPS/big.png", data=b"\0" * 20 * MIB)
    assert read_epub(io.BytesIO(make_epub(extra=[picture])), EpubLimits(max_total_bytes=MIB)).words == 4


def test_one_enormous_word() -> None:
    """A document that is one word of 3 MB is read, in bounded time and memory; the word counts once per 16 KiB."""
    word = "".join(f"{n * 2654435761 % 2**32:08x}" for n in range(3 * MIB // 8))
    assert 2 <= read_epub(io.BytesIO(make_epub((word,)))).words <= 3 * 64 + 2


@pytest.mark.parametrize("size", [3 * MIB, 12 * MIB])
def test_enormous_attribute(size: int) -> None:
    """A picture in a data URL does not count as many attributes, nor is it too long for the parser."""
    picture = "".join(f"{n * 2654435761 % 2**32:08x}" for n in range(size // 8))
    book = read_epub(io.BytesIO(make_epub((f"<img alt='' src='data:image/png;base64,{picture}'/>z", "sound"))))
    assert (book.chapters, book.words) == (2, 4)


def _large_book() -> bytes:
    """12 MiB of text in 25 chapters, packed about twelve to one."""
    words = "".join(f"<p>{n * 2654435761 % 2**32:x} the quick brown fox &amp; {n:x}</p>\n" for n in range(10_000))
    return make_epub([chapter(words)] * 25)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of one program is told by /proc only")
def test_memory(tmp_path: Path) -> None:
    """A book of 12 MiB raises the peak memory of a fresh process by less than half of it, libxml2's own included."""
    path = tmp_path / "large.epub"
    path.write_bytes(_large_book())
    # VmHWM and not ru_maxrss: the latter is handed down from the process that started this one.
    script = (
        "import re, sys\n"
        "from pathlib import Path\n"
        "from library.epub import read_epub\n"
        "peak = lambda: int(re.search(r'VmHWM:\\s*(\\d+)', Path('/proc/self/status').read_text())[1])\n"
        "before = peak()\n"
        "book = read_epub(sys.argv[1])\n"
        "print(book.words, peak() - before)\n"
    )
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], cwd=root, capture_output=True, text=True, check=True, timeout=120
    )
    words, kib = map(int, done.stdout.split())
    assert words > 1_000_000
    assert kib < 6 * 1024


def test_many_creators() -> None:
    """Metadata of 3 MB yields a hundred values."""
    opf = package(metadata="".join(f"<dc:creator>somebody {n * 7919:x}</dc:creator>" for n in range(70_000)))
    assert len(read_epub(io.BytesIO(make_epub(opf=opf))).creators) == 100


def test_many_lures_without_a_directory() -> None:
    """Where sizes are looked for behind the data, data that is made of what is looked for is given up."""
    header = b"PK\3\4\x14\0\x08\0" + b"\0" * 18 + b"\x01\0\0\0" + b"a"
    looked_at = 0

    class Counted(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            nonlocal looked_at
            looked_at += 1
            return super().read(size)

    with pytest.raises(EpubError) as refused:
        read_epub(Counted(header + b"PK\7\x08" * 2_000_000))
    assert refused.value.code == "not-a-zip"
    assert looked_at < 150


def test_many_names_from_one_header() -> None:
    """A name that NULs fill up in the directory is at most as long as that; else a small file asks for gigabytes."""
    sound, name, times = make_epub(), b"x" * 60_000, 4_000
    end = sound.rindex(b"PK\5\6")
    count, _, size, directory = struct.unpack_from("<2H2I", sound, end + 8)
    header = b"PK\3\4" + b"\0" * 22 + struct.pack("<2H", len(name), 0) + name
    listed = b"PK\1\2" + b"\0" * 24 + struct.pack("<H", 2) + b"\0" * 12 + struct.pack("<I", directory) + b"x\0"
    whole = sound[:directory] + header + sound[directory : directory + size] + listed * times
    numbers = (count + times, count + times, size + len(listed) * times, directory + len(header))
    whole += sound[end : end + 8] + struct.pack("<2H2I", *numbers) + sound[end + 20 :]
    tracemalloc.start()
    try:
        with pytest.raises(EpubError) as refused:
            read_epub(io.BytesIO(whole))
        assert refused.value.code == "unsafe-path"
        assert tracemalloc.get_traced_memory()[1] < 12 * MIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("broken", "found"), [(3, True), (20, False)])
def test_many_covers(broken: int, found: bool) -> None:
    """A few that cannot be shown are passed over. Each that is tried may cost as much as the largest picture."""
    names = [f"c{n}.jpg" for n in range(broken)] + ["good.jpg"]
    items = "".join(f'<item id="{n}" href="{n}" media-type="image/jpeg" properties="cover-image"/>' for n in names)
    files = {f"OEBPS/{name}": b"no picture" for name in names[:-1]} | {"OEBPS/good.jpg": JPEG}
    book = read_epub(io.BytesIO(make_epub(opf=package(manifest=items), files=files)))
    assert (book.cover is not None) is found


@pytest.mark.parametrize(("length", "words"), [(3, 2), (20, 1)])
def test_long_chains_of_fallbacks(length: int, words: int) -> None:
    """A short one is followed to its document. Each item of the spine may begin one with all items in it."""
    items = "".join(
        f'<item id="f{n}" href="f{n}.bin" media-type="x/y" fallback="f{n + 1}"/>' for n in range(length - 1)
    )
    items += f'<item id="f{length - 1}" href="end.xhtml" media-type="application/xhtml+xml"/>'
    opf = package(manifest=items, spine='<itemref idref="f0"/>')
    files = {"OEBPS/c1.xhtml": b"<html><body>one</body></html>", "OEBPS/end.xhtml": b"<html><body>two</body></html>"}
    assert read_epub(io.BytesIO(make_epub(opf=opf, files=files))).words == words


def test_a_spine_that_repeats_a_long_href() -> None:
    """It is looked for once, by the thread's CPU. What no archive can hold is not looked for."""
    item = f'<item id="long" href="{"a/" * 95_000}" media-type="application/xhtml+xml"/>'
    files = {"OEBPS/c1.xhtml": b"<html><body>one</body></html>"}

    def cpu(times: int) -> float:
        book = make_epub(opf=package(manifest=item, spine='<itemref idref="long"/>' * times), files=files)
        began = time.thread_time()
        assert read_epub(io.BytesIO(book)).words == 1
        return time.thread_time() - began

    assert cpu(100) < 20 * cpu(1)


def test_an_href_that_is_too_long() -> None:
    """No entry has such a name."""
    assert resolve("", "%C3" * 65_535)
    with pytest.raises(UnusableHref, match="longer"):
        resolve("", "%C3" * 65_536)
