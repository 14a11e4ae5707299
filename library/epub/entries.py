"""What the files of an archive are called: from the names in its directory to paths, and from a path to its file.

Rules: EPUB 3.3 section 4.2.3 (file paths and file names), and what tools write that do not know them.
"""

import struct
import zlib
from collections.abc import Iterable
from zipfile import ZipInfo

from library.epub.book import WarningCode, WarningLog
from library.epub.errors import shown
from library.epub.paths import entry_path, folded

_CONTAINER = "META-INF/container.xml"
_FLAG_UTF8 = 0x800
_UNICODE_PATH = struct.Struct("<HHBI")  # id and size of the field, version, CRC-32 of the name; APPNOTE section 4.6.9
_UNICODE_PATH_ID = 0x7075
# Of the computers on which books are packed: Western, Central European, Russian and Greek, Turkish, Hebrew, Arabic,
# Baltic, Vietnamese, Thai, Chinese and Japanese, Korean.
_CODE_PAGES = (
    *("cp1252", "cp850", "mac_roman", "cp1250", "cp852", "cp866", "cp1251", "koi8_u", "cp1253", "cp737", "cp1254"),
    *("cp857", "cp1255", "cp862", "cp1256", "cp720", "cp1257", "cp775", "cp1258", "cp874", "gb18030", "cp932"),
    *("euc_jp", "big5", "cp949"),
)


class Entries:
    """The entries of an archive by their paths in the container; folders are left out."""

    def __init__(self, infos: Iterable[ZipInfo], log: WarningLog) -> None:
        self._infos = _without_folder(_by_path(infos, log), log)
        self._folded: dict[str, str] = {}
        self._unmarked: dict[bytes, str] = {}
        for path, info in self._infos.items():
            self._folded.setdefault(folded(path), path)
            if not path.isascii() and not info.flag_bits & _FLAG_UTF8:
                self._unmarked[path.encode("cp437", "replace")] = path

    def __getitem__(self, path: str) -> ZipInfo:
        return self._infos[path]

    def find(self, path: str) -> str | None:
        """The entry at `path`, or the one that differs in case, Unicode form or encoding only; None if there is none.

        An older ZIP tool writes names in the code page of its computer, without saying which.
        """
        if path in self._infos:
            return path
        spelled = self._folded.get(folded(path))
        if spelled is not None or path.isascii() or not self._unmarked:
            return spelled
        return next(filter(None, (self._unmarked.get(_encoded(path, page)) for page in _CODE_PAGES)), None)

    def ending_with(self, suffix: str) -> list[str]:
        """The entries whose names end with `suffix`, those in the fewest folders first; a Mac's own are left out."""
        found = [path for path in self._infos if path.lower().endswith(suffix) and not _of_a_mac(path)]
        return sorted(found, key=lambda path: path.count("/"))

    def is_first(self, path: str) -> bool:
        """Whether no other entry lies before this one in the file."""
        return min(self._infos.values(), key=lambda info: info.header_offset) is self._infos[path]


def _by_path(infos: Iterable[ZipInfo], log: WarningLog) -> dict[str, ZipInfo]:
    entries: dict[str, ZipInfo] = {}
    for info in infos:
        name = _true_name(info)
        path = entry_path(name)
        if not path or name.endswith(("/", "\\")):
            continue
        if path != name:
            log.add(WarningCode.ENTRY_NAME, f"The archive names an entry {shown(name)}; read as {shown(path)}.")
        elif path != info.orig_filename:
            log.add(WarningCode.ENTRY_NAME, f"The archive does not mark {shown(path)} as UTF-8; it was read as such.")
        if path in entries:
            log.add(WarningCode.ENTRY_NAME, f"The archive holds two files named {shown(path)}; the later one is read.")
        entries[path] = info
    return entries


def _true_name(info: ZipInfo) -> str:
    """The entry's name: UTF-8 always (section 4.2.3), also where flag bit 11 does not say so.

    Older tools write the name in the code page of their computer, and beside it, in an extra field, in UTF-8.
    """
    # orig_filename, since `filename` is cut at a NUL, which would hide the rest from the checks.
    if info.flag_bits & _FLAG_UTF8:
        return info.orig_filename
    raw = info.orig_filename.encode("cp437", "replace")
    try:
        return raw.decode("utf-8")
    except UnicodeError:
        return _unicode_path(info.extra, raw) or info.orig_filename


def _unicode_path(extra: bytes, raw: bytes) -> str | None:
    """The name in the extra field "Info-ZIP Unicode Path", if that was written for the name `raw`."""
    at = 0
    while at + _UNICODE_PATH.size <= len(extra):
        kind, size, version, crc = _UNICODE_PATH.unpack_from(extra, at)
        if kind == _UNICODE_PATH_ID and version == 1 and crc == zlib.crc32(raw):
            return extra[at + _UNICODE_PATH.size : at + 4 + size].decode("utf-8", "replace")
        at += 4 + size
    return None


def _without_folder(entries: dict[str, ZipInfo], log: WarningLog) -> dict[str, ZipInfo]:
    """The entries as seen from the one folder that holds the book, where somebody has packed that folder."""
    known = {folded(path): path for path in entries}
    if folded(_CONTAINER) in known:
        return entries
    inner = [path for key, path in known.items() if key.endswith(folded(f"/{_CONTAINER}")) and not _of_a_mac(path)]
    if len(inner) != 1:
        return entries
    folder = inner[0][: -len(_CONTAINER)]
    log.add(WarningCode.ENTRY_NAME, f"The archive holds the book in the folder {shown(folder)}.")
    return {path.removeprefix(folder): info for path, info in entries.items() if path.startswith(folder)}


def _of_a_mac(path: str) -> bool:
    """What the Finder of a Mac packs beside each file."""
    return path.startswith("__MACOSX/") or path.rpartition("/")[2].startswith("._")


def _encoded(path: str, code_page: str) -> bytes:
    try:
        return path.encode(code_page).replace(b"\\", b"/")  # which may be half of a character
    except UnicodeError:
        return b""
