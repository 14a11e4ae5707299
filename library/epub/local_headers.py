"""The entries of an archive whose directory is missing or damaged, by the headers that stand before each of them.

Some shops sell such books, and readers open them (calibre's `localunzip`). APPNOTE 6.3.10, sections 4.3.7 and 4.3.9.
"""

import struct
from typing import Protocol
from zipfile import ZipInfo

_HEADER = struct.Struct("<4s5H3I2H")
_HEADER_SIGNATURE = b"PK\3\4"
_DESCRIPTOR = struct.Struct("<4s3I")  # checksum, packed and unpacked size, where the header could not know them
_DESCRIPTOR_SIGNATURE = b"PK\7\x08"
_FLAG_DESCRIPTOR = 0x8
_FLAG_UTF8 = 0x800
_CHUNK = 64 * 1024
_MOST_MISSES = 1000
"""Signatures in the data of one entry that are no descriptor's. Packed data has one in four thousand million bytes."""


class _File(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...

    def seek(self, offset: int, whence: int = 0, /) -> int: ...


def entries_by_headers(file: _File, max_entries: int) -> tuple[list[ZipInfo], int] | None:
    """The entries one behind the other, at most one more than `max_entries`, and where the last of them ends.

    None where the first is not at the start of the file, or the file ends within one: a download that stopped.
    """
    size = file.seek(0, 2)
    found: list[ZipInfo] = []
    at = 0
    while len(found) <= max_entries:
        file.seek(at)
        head = file.read(_HEADER.size)
        if head and _HEADER_SIGNATURE.startswith(head[:4]) and len(head) < _HEADER.size:
            return None
        if head[:4] != _HEADER_SIGNATURE:
            break
        entry = _entry(file, at, _HEADER.unpack(head))
        if entry is None or entry[1] > size:
            return None
        found.append(entry[0])
        at = entry[1]
    return (found, at) if found else None


def _entry(file: _File, at: int, header: tuple[bytes, *tuple[int, ...]]) -> tuple[ZipInfo, int] | None:
    """The entry with this header, and where it ends; None where no end is found."""
    _, _, flags, method, _, _, crc, packed, size, name_length, extra_length = header
    name, extra = file.read(name_length), file.read(extra_length)
    data_at = at + _HEADER.size + name_length + extra_length
    end = data_at + packed
    if flags & _FLAG_DESCRIPTOR:
        if (descriptor := _descriptor(file, data_at)) is None:
            return None
        crc, packed, size, end = descriptor
    info = ZipInfo()
    info.flag_bits, info.orig_filename = decoded_name(name, flags)
    info.header_offset, info.compress_type, info.extra = at, method, extra
    info.CRC, info.compress_size, info.file_size = crc, packed, size
    return info, end


def _descriptor(file: _File, data_at: int) -> tuple[int, int, int, int] | None:
    """Checksum, packed size and size by the next descriptor that is where it says, and where it ends."""
    file.seek(data_at)
    at, window, left = data_at, b"", _MOST_MISSES
    while chunk := file.read(_CHUNK):
        window += chunk
        position = window.find(_DESCRIPTOR_SIGNATURE)
        while 0 <= position <= len(window) - _DESCRIPTOR.size:
            _, crc, packed, size = _DESCRIPTOR.unpack_from(window, position)
            if packed == at + position - data_at:
                return crc, packed, size, data_at + packed + _DESCRIPTOR.size
            left -= 1
            if not left:
                return None
            position = window.find(_DESCRIPTOR_SIGNATURE, position + 1)
        kept = min(len(window), _DESCRIPTOR.size - 1)
        at, window = at + len(window) - kept, window[len(window) - kept :]
    return None


def decoded_name(name: bytes, flags: int) -> tuple[int, str]:
    """The flags and the name, as `zipfile` has them: a name that is not the UTF-8 it is marked as is not marked."""
    if flags & _FLAG_UTF8:
        try:
            return flags, name.decode("utf-8")
        except UnicodeDecodeError:
            flags &= ~_FLAG_UTF8
    return flags, name.decode("cp437")
