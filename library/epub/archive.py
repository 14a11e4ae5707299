"""The ZIP side: open, check the directory as a whole, and read one entry at a time within bounds.

Rules: EPUB 3.3 section 4.3 (OCF ZIP container). `zipfile` reads the central directory, by which an entry is what it
is; everything it believes and should not is checked here: sizes, offsets, names, compression methods. Its exceptions
do not leave this file.
"""

import struct
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, LargeZipFile, ZipFile, ZipInfo

from library.epub.book import WarningCode, WarningLog
from library.epub.errors import EpubError, EpubErrorCode, shown
from library.epub.limits import EpubLimits
from library.epub.paths import entry_path, folded

_CHUNK = 64 * 1024
_LOCAL_HEADER = struct.Struct("<4s22x2H")  # signature, length of name, length of extra; APPNOTE 6.3.10 section 4.3.7
_FLAG_ENCRYPTED = 0x1
_FLAG_UTF8 = 0x800
_TAIL = 64 * 1024 + 1024  # the longest read of zipfile that is not the directory: end record and comment
# What zipfile and zlib raise over a malformed file. OSError is absent: a failing disk is not a bad book.
_BAD_ZIP = (
    BadZipFile,
    LargeZipFile,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    NotImplementedError,
    RuntimeError,
    OverflowError,
)


class _GuardedFile:
    """The part of a file that `zipfile` uses; refuses to load a directory larger than the limit in one read."""

    def __init__(self, stream: BinaryIO, max_read: int) -> None:
        self._stream = stream
        self._max_read = max(max_read, _TAIL)
        self.failure: OSError | None = None

    def read(self, size: int = -1, /) -> bytes:
        if size > self._max_read:
            raise _too_large("The archive's table of contents")
        try:
            data = self._stream.read(self._max_read + 1 if size < 0 else size)
        except OSError as error:
            # zipfile reports it as a bad file when it happens while the end record is looked for.
            self.failure = error
            raise
        if len(data) > self._max_read:
            raise _too_large("The archive's table of contents")
        return data

    def seek(self, offset: int, whence: int = 0, /) -> int:
        if whence == 0 and offset < 0:
            raise BadZipFile("offset before the start of the file")
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def seekable(self) -> bool:
        return True


class Archive:
    """An open, checked ZIP, and what goes along with it: the bounds of what is read, and the warnings."""

    def __init__(self, file: _GuardedFile, zip_file: ZipFile, limits: EpubLimits, log: WarningLog) -> None:
        self._file = file
        self.limits = limits
        self.log = log
        self._left = limits.max_total_bytes
        infos = zip_file.infolist()
        if len(infos) > limits.max_entries:
            raise _too_large("The number of files in the archive")
        _refuse_overlaps(infos, zip_file.start_dir)
        self._entries = _by_path(infos, log)
        self._folded: dict[str, str] = {}
        for name in self._entries:
            self._folded.setdefault(folded(name), name)

    def find(self, path: str) -> str | None:
        """The entry at `path`, or the one that differs in case or Unicode form only; None if there is none."""
        return path if path in self._entries else self._folded.get(folded(path))

    @property
    def exhausted(self) -> bool:
        """Whether all was read of the book that is read of one."""
        return self._left < 0

    def is_first(self, name: str) -> bool:
        return min(self._entries.values(), key=lambda info: info.header_offset) is self._entries[name]

    def is_stored(self, name: str) -> bool:
        return self._entries[name].compress_type == ZIP_STORED

    def read(self, name: str, max_bytes: int) -> bytes:
        """The whole entry `name`, at most `max_bytes`; errors as `chunks`."""
        return b"".join(self.chunks(name, max_bytes))

    def chunks(self, name: str, max_bytes: int) -> Iterator[bytes]:
        """The entry `name` in pieces of at most 64 KiB.

        `EpubError`: `limit-exceeded` past `max_bytes`, the ratio or the total of this archive; `zip-damaged`,
        `zip-unsupported`, `encrypted`. Anything but stored and deflate is refused before it is tried, for the
        decompressors of the other methods do not bound what one call may yield.
        """
        info = self._entries[name]
        if info.flag_bits & _FLAG_ENCRYPTED:
            raise EpubError(
                EpubErrorCode.ENCRYPTED,
                f"{shown(name)} in the archive is protected by a password. Upload the book without protection.",
            )
        if info.compress_type not in {ZIP_STORED, ZIP_DEFLATED}:
            raise EpubError(
                EpubErrorCode.ZIP_UNSUPPORTED,
                f"{shown(name)} is packed by method {info.compress_type}, which an EPUB may not use (only stored and "
                "deflate). Pack the book again with an EPUB tool.",
            )
        ratio_bytes = self.limits.ratio_floor_bytes + info.compress_size * self.limits.max_ratio
        done = 0
        try:
            for piece in self._unpacked(info):
                done += len(piece)
                self._left -= len(piece)
                if done > max_bytes:
                    raise _too_large(f"{shown(name)}")
                if done > ratio_bytes:
                    raise _too_large(f"The expansion of {shown(name)}")
                if self._left < 0:
                    raise _too_large("The unpacked book")
                yield piece
        except _BAD_ZIP as error:
            raise EpubError(
                EpubErrorCode.ZIP_DAMAGED,
                f"{shown(name)} in the archive is damaged and cannot be unpacked. Download or export the book again.",
            ) from error

    def _unpacked(self, info: ZipInfo) -> Iterator[bytes]:
        """What an entry holds, checked against the directory. Its local header says only how long it is itself."""
        self._file.seek(info.header_offset)
        signature, name_length, extra_length = _LOCAL_HEADER.unpack(self._file.read(_LOCAL_HEADER.size))
        if signature != b"PK\3\4":
            raise BadZipFile("no local header")
        self._file.seek(info.header_offset + _LOCAL_HEADER.size + name_length + extra_length)
        inflate = zlib.decompressobj(-zlib.MAX_WBITS) if info.compress_type == ZIP_DEFLATED else None
        left, size, crc, packed = info.compress_size, 0, 0, b""
        while (left or packed) and not (inflate and inflate.eof):
            if not packed:
                packed = self._file.read(min(left, _CHUNK))
                left -= len(packed)
                if not packed:
                    raise EOFError
            if inflate is None:
                piece, packed = packed, b""
            else:
                piece, packed = inflate.decompress(packed, _CHUNK), inflate.unconsumed_tail
                if not left and not packed:
                    piece += inflate.flush()  # less than one match of deflate
            crc, size = zlib.crc32(piece, crc), size + len(piece)
            if size > info.file_size:
                raise BadZipFile("larger than the directory says")
            if piece:
                yield piece
        if crc != info.CRC:
            raise BadZipFile("wrong checksum")


@contextmanager
def open_archive(source: str | Path | BinaryIO, limits: EpubLimits, log: WarningLog) -> Generator[Archive]:
    """The archive in a file or in a seekable binary stream (left open, wherever its position ends up).

    `OSError` if the file cannot be opened; `EpubError` if it is no ZIP, or one that no honest tool writes.
    """
    if isinstance(source, str | Path):
        with Path(source).open("rb") as stream, open_archive(stream, limits, log) as archive:
            yield archive
        return
    guarded = _GuardedFile(source, limits.max_directory_bytes)
    try:
        zip_file = ZipFile(guarded)
    except _BAD_ZIP as error:
        if guarded.failure is not None:
            raise guarded.failure from None
        raise EpubError(
            EpubErrorCode.NOT_A_ZIP,
            "The file is not an EPUB: it is not a ZIP archive, or it is incomplete. "
            "Check that it is an .epub file and download it again.",
        ) from error
    with zip_file:
        yield Archive(guarded, zip_file, limits, log)


def _by_path(infos: list[ZipInfo], log: WarningLog) -> dict[str, ZipInfo]:
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
    """The entry's name: UTF-8 always (section 4.2.3), also where flag bit 11 does not say so."""
    # orig_filename, since `filename` is cut at a NUL, which would hide the rest from the checks.
    if info.flag_bits & _FLAG_UTF8:
        return info.orig_filename
    try:
        return info.orig_filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return info.orig_filename


def _refuse_overlaps(infos: list[ZipInfo], directory_at: int) -> None:
    """Two entries that share bytes multiply what a small file unpacks to (bamsoftware.com/hacks/zipbomb).

    The size of an entry is taken as at least header and packed data: name and extra field of the local header, which
    may differ from those of the directory, come on top.
    """
    least = _LOCAL_HEADER.size
    spans = sorted((info.header_offset, info.header_offset + least + info.compress_size) for info in infos)
    spans.append((directory_at, directory_at))
    if any(end > start for (_, end), (start, _) in pairwise(spans)):
        raise EpubError(
            EpubErrorCode.OVERLAPPING_ENTRIES,
            "Files inside the archive overlap, as in a zip bomb. Export the book again with another tool.",
        )


def _too_large(what: str) -> EpubError:
    return EpubError(
        EpubErrorCode.LIMIT_EXCEEDED, f"{what} is larger than this service reads. Split the book or shrink it."
    )
