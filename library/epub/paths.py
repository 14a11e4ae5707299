"""Names inside the container: what an entry may be called, and where an href leads. Pure functions.

Nothing here touches a disk. The rules still matter: a name that escapes a container is either an attack on
whoever unpacks the book next, or a sign that the file is not what it says.
"""

import re
import unicodedata
from urllib.parse import unquote

from library.epub.errors import EpubError, EpubErrorCode, shown

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")
_DRIVE = re.compile(r"[A-Za-z]:")


class UnusableHref(ValueError):
    """An href of the package document does not lead to a file of the container."""


def entry_path(name: str) -> str:
    """The container path of a ZIP entry called `name`.

    Backslashes become slashes, since some Windows tools write them. A name that is absolute, has a drive letter
    or a `..` segment, or holds a NUL cannot come from a tool that packs a directory: `EpubError(unsafe-path)`.
    Rule: EPUB 3.3 section 4.2.3 (file paths and file names), stricter only in refusing instead of reporting.
    """
    path = name.replace("\\", "/")
    if path.startswith("/") or _DRIVE.match(path) or ".." in path.split("/") or "\0" in path:
        raise EpubError(
            EpubErrorCode.UNSAFE_PATH,
            f"The archive holds an entry named {shown(name)}, which points outside the book. "
            "Export the book again with another tool.",
        )
    return path


def resolve(base: str, href: str) -> tuple[str, ...]:
    """Container paths that `href`, found in the document at container path `base`, may mean; likeliest first.

    The first is the href percent-decoded, as a URL is read; the second is the href as written, for archives whose
    entries were named by the escaped form. Query and fragment are dropped.
    `UnusableHref` if it is empty, remote, absolute, or climbs out of the container, also by way of escapes
    (`%2e%2e`, `%2f`): EPUB 3.3 sections 4.2.5 (URLs in the container) and 5.2 (parsing URLs).
    """
    bare = href.strip().partition("#")[0].partition("?")[0].replace("\\", "/")
    if not bare:
        raise UnusableHref("it is empty")
    if _DRIVE.match(bare) and bare[2:3] == "/" and bare[3:4] != "/":
        raise UnusableHref("it names a drive of a computer")
    if _SCHEME.match(bare) or bare.startswith("//"):
        raise UnusableHref("it points to another place than the book")
    if bare.startswith("/"):
        raise UnusableHref("it is absolute")
    decoded = "/".join(_decoded(segment) for segment in bare.split("/"))
    found = [_joined(base, decoded)]
    if decoded != bare:
        found.append(_joined(base, bare))
    return tuple(found)


def folded(path: str) -> str:
    """`path` as compared when the exact spelling is not there: Unicode NFC and case-folded (section 4.2.3)."""
    return unicodedata.normalize("NFC", path).casefold()


def _decoded(segment: str) -> str:
    try:
        plain = unquote(segment, errors="strict")
    except UnicodeDecodeError:
        return segment
    if "/" in plain or "\\" in plain or "\0" in plain:
        raise UnusableHref("it hides a separator in an escape")
    return plain


def _joined(base: str, relative: str) -> str:
    parts = base.split("/")[:-1]
    for segment in relative.split("/"):
        if segment == "..":
            if not parts:
                raise UnusableHref("it leaves the book")
            parts.pop()
        elif segment not in {"", "."}:
            parts.append(segment)
    if not parts:
        raise UnusableHref("it names a directory")
    return "/".join(parts)
