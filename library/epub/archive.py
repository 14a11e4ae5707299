"""The ZIP side: open, check the directory as a whole, and read one entry at a time within bounds.

Rules: EPUB 3.3 section 4.3 (OCF ZIP container). `zipfile` reads the central directory, by which an entry is what it
is; everything it believes and should not is checked here: sizes, offsets, compression methods. Its exceptions do not
leave this file.
"""

import struct
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, NamedTuple
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, LargeZipFile, ZipFile, ZipInfo

from library.epub.book import WarningCode, WarningLog
from library.epub.entries import Entries
from library.epub.errors import EpubError, EpubErrorCode, shown
from library.epub.limits import EpubLimits
from library.epub.local_headers import decoded_name, entries_by_headers

_CHUNK = 64 * 1024
_LOCAL_HEADER = struct.Struct("<4s22x2H")  # signature, length of name, length of extra; APPNOTE 6.3.10 section 4.3.7
_HEADER_SIGNATURE = b"PK\3\4"
_SOME = 8
_FLAG_ENCRYPTED = 0x1
_TAIL = 64 * 1024 + 1024  # the longest read of zipfile that is not the directory: end record and comment
_END = struct.Struct("<4s16xH")  # signature of the end record, length of the comment; APPNOTE section 4.3.16
_MAX_JUNK = 16 * 1024 * 1024
_END_SIGNATURE = b"PK\5\6"
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
        self._end: int | None = None
        self.failure: OSError | None = None

    def end_at(self, end: int | None) -> None:
        """Leave out what comes from the byte `end` on; None leaves out nothing."""
        self._end = end

    def read(self, size: int = -1, /) -> bytes:
        if size > self._max_read:
            raise _too_large("The archive's table of contents")
        most = self._max_read + 1 if size < 0 else size
        if self._end is not None:
            most = max(0, min(most, self._end - self._stream.tell()))
        try:
            data = self._stream.read(most)
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
        if whence == 2 and self._end is not None:
            return self._stream.seek(max(0, self._end + offset))
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def seekable(self) -> bool:
        return True


class Archive:
    """An open, checked ZIP, and what goes along with it: the bounds of what is read, and the warnings."""

    def __init__(self, file: _GuardedFile, listed: "_Listed", limits: EpubLimits, log: WarningLog) -> None:
        self._file = file
        self.limits = limits
        self.log = log
        self._left = limits.max_total_bytes
        if len(listed.entries) > limits.max_entries:
            raise _too_large("The number of files in the archive")
        _refuse_overlaps(listed.entries, listed.end)
        self.entries = Entries(listed.entries, log)

    @property
    def exhausted(self) -> bool:
        """Whether all was read of the book that is read of one."""
        return self._left < 0

    def is_stored(self, name: str) -> bool:
        return self.entries[name].compress_type == ZIP_STORED

    def read(self, name: str, max_bytes: int) -> bytes:
        """The whole entry `name`, at most `max_bytes`; errors as `chunks`."""
        return b"".join(self.chunks(name, max_bytes))

    def chunks(self, name: str, max_bytes: int) -> Iterator[bytes]:
        """The entry `name` in pieces of at most 64 KiB.

        `EpubError`: `limit-exceeded` past `max_bytes`, the ratio or the total of this archive; `zip-damaged`,
        `zip-unsupported`, `encrypted`. Anything but stored and deflate is refused before it is tried, for the
        decompressors of the other methods do not bound what one call may yield.
        """
        info = self.entries[name]
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
        lengths = _local_header(self._file, info)
        if lengths is None:
            raise BadZipFile("no local header")
        self._file.seek(info.header_offset + _LOCAL_HEADER.size + sum(lengths))
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
        listed = _by_directory(guarded)
    except _BAD_ZIP as error:
        if guarded.failure is not None:
            raise guarded.failure from None
        if (found := _by_headers(guarded, limits)) is None:
            raise EpubError(
                EpubErrorCode.NOT_A_ZIP,
                "The file is not an EPUB: it is not a ZIP archive, or it is incomplete. "
                "Check that it is an .epub file and download it again.",
            ) from error
        log.add(WarningCode.ZIP_DIRECTORY, "The archive's table of contents is damaged; its files were found without.")
        listed = found
    yield Archive(guarded, listed, limits, log)


class _Listed(NamedTuple):
    """The entries of an archive, and the byte before which they all end."""

    entries: list[ZipInfo]
    end: int


def _by_directory(file: _GuardedFile) -> _Listed:
    """What the directory lists; `BadZipFile` if that is damaged."""
    with _open_zip(file) as zip_file:
        entries = zip_file.infolist()
        # Some, since one may be damaged itself: downloads were seen whose first bytes are (readest, pull request 4321).
        if entries and not any(_local_header(file, entry) for entry in entries[:_SOME]):
            raise BadZipFile("no local header where the directory has one")
        for entry in entries:
            if "\0" in entry.orig_filename:
                _take_local_name(file, entry)
        return _Listed(entries, zip_file.start_dir)


def _local_header(file: _GuardedFile, entry: ZipInfo) -> tuple[int, int] | None:
    """The lengths of the name and of what follows it in the header before an entry, where `file` is then; None if there
    is no header."""
    file.seek(entry.header_offset)
    head = file.read(_LOCAL_HEADER.size)
    if len(head) < _LOCAL_HEADER.size:
        return None
    signature, name_length, extra_length = _LOCAL_HEADER.unpack(head)
    return (name_length, extra_length) if signature == _HEADER_SIGNATURE else None


def _take_local_name(file: _GuardedFile, entry: ZipInfo) -> None:
    """Shops have sold books whose directory has names that NULs fill up from the middle (Info-ZIP, support request 11);
    the header before the entry has the whole name. A longer one is another name: many entries may share one header."""
    lengths = _local_header(file, entry)
    if lengths is None or lengths[0] > len(entry.orig_filename.encode()):
        return
    if (name := file.read(lengths[0])) and b"\0" not in name:
        entry.flag_bits, entry.orig_filename = decoded_name(name, entry.flag_bits)


def _by_headers(file: _GuardedFile, limits: EpubLimits) -> _Listed | None:
    """What is there without a directory; None if that is no book."""
    file.end_at(None)
    found = entries_by_headers(file, limits.max_entries)
    if found is None or not any(each.orig_filename.lower().endswith(".opf") for each in found[0]):
        return None
    return _Listed(*found)


def _open_zip(file: _GuardedFile) -> ZipFile:
    """The archive, also where more follows it than the longest comment: other unzippers look for its end, too."""
    try:
        return ZipFile(file)
    except BadZipFile:
        end = _end_of_archive(file)
        if end is None:
            raise
        file.end_at(end)
        return ZipFile(file)


def _end_of_archive(file: _GuardedFile) -> int | None:
    """Where the last end record that is in the last `_MAX_JUNK` bytes of a file ends; None if there is none."""
    size = file.seek(0, 2)
    at, after = size, b""
    while at > max(0, size - _MAX_JUNK):
        start = max(0, at - _CHUNK)
        file.seek(start)
        data = file.read(at - start) + after
        found = data.rfind(_END_SIGNATURE)
        if found >= 0 and len(data) - found >= _END.size:
            return min(size, start + found + _END.size + _END.unpack_from(data, found)[1])
        at, after = start, data[: _END.size]
    return None


def _refuse_overlaps(infos: list[ZipInfo], directory_at: int) -> None:
    """Two entries that share bytes multiply what a small file unpacks to (bamsoftware.com/hacks/zipbomb).

    The size of an entry is taken as at least header and packed data: name and extra field of the local header, which
    may differ from those of the directory, come on top. One entry that is listed twice under its name yields no more.
    """
    least = _LOCAL_HEADER.size
    listed = {(info.header_offset, info.orig_filename, info.compress_size) for info in infos}
    spans = sorted((offset, offset + least + size) for offset, _, size in listed)
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
