"""Why a file is refused as a book.

EpubError
└── code: EpubErrorCode   (stored and shown: the words are never renamed)

A deviation that can be read around is not an error but an `EpubWarning` (see `book.py`).
"""

from enum import StrEnum


class EpubErrorCode(StrEnum):
    """One member for each thing a person can do something about."""

    NOT_A_ZIP = "not-a-zip"  # no readable ZIP directory: another format, or cut off
    ZIP_DAMAGED = "zip-damaged"  # an entry the book needs does not unpack, or fails its checksum
    ZIP_UNSUPPORTED = "zip-unsupported"  # an entry the book needs is packed by a method OCF does not allow
    OVERLAPPING_ENTRIES = "overlapping-entries"  # two entries share bytes of the file: a zip bomb
    UNSAFE_PATH = "unsafe-path"  # an entry or the package document lies outside the container
    NO_CONTAINER = "no-container"  # META-INF/container.xml is missing
    NO_PACKAGE = "no-package"  # container.xml names no package document that is there
    MALFORMED_XML = "malformed-xml"  # nothing of use can be read of container.xml or the package document
    ENCRYPTED = "encrypted"  # most of the text is encrypted (DRM), or all that there is (a ZIP password)
    NOTHING_READABLE = "nothing-readable"  # not one document of the spine could be read
    LIMIT_EXCEEDED = "limit-exceeded"  # larger than `EpubLimits` allows


class EpubError(Exception):
    """The file cannot be read as a book; `message` says what is wrong and what to do about it."""

    def __init__(self, code: EpubErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def shown(name: str) -> str:
    """`name` in quotes for a message: one line, printable, at most 120 characters of it."""
    return ascii(name if len(name) <= 120 else name[:117] + "...") if not name.isprintable() else f"'{name[:120]}'"
