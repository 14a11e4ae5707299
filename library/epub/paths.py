"""Names inside the container: what an entry may be called, and where an href leads. Pure functions.

Nothing here touches a disk. The rules still matter: a name that escapes a container is either an attack on
whoever unpacks the book next, or a sign that the file is not what it says.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import unquote

from library.epub.errors import EpubError, EpubErrorCode, shown

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")
_DRIVE = re.compile(r"[A-Za-z]:(?=/)")
_SPACE = "".join(map(chr, range(33)))  # "C0 control or space" of url.spec.whatwg.org, section 4.4
_LONGEST = 3 * 65_535
"""Characters, all escaped, of the longest name of an entry (APPNOTE 6.3.10, section 4.4.10)."""
_LINE_ENDS = dict.fromkeys(map(ord, "\t\n\r"))


class UnusableHref(ValueError):
    """An href of the package document does not lead to a file of the container."""


class Paths(NamedTuple):
    """Container paths that an href may mean. `valid`: it is a path in the container as it should be written."""

    likeliest_first: tuple[str, ...]
    valid: bool


def entry_path(name: str) -> str:
    """The container path of a ZIP entry called `name`; "" for the container itself.

    Backslashes become slashes, since some Windows tools write them; `./`, a second slash and one in front say nothing,
    as in any path of the container, whose root is `/`; a `..` leads to the folder above. A name that leads above the
    root or to a drive, or holds a NUL, cannot come from a tool that packs a directory: `EpubError(unsafe-path)`.
    Rule: EPUB 3.3 section 4.2.3 (file paths and file names), stricter only in refusing instead of reporting.
    """
    joined, inside = _joined("", name.replace("\\", "/").lstrip("/"))
    if not inside or _DRIVE.match(name.replace("\\", "/")) or "\0" in name:
        raise EpubError(
            EpubErrorCode.UNSAFE_PATH,
            f"The archive holds an entry named {shown(name)}, which points outside the book. "
            "Export the book again with another tool.",
        )
    return joined


def resolve(base: str, href: str) -> Paths:
    """Where `href`, found in the document at container path `base`, may lead.

    As URLs are parsed, the container's root being one (EPUB 3.3 section 4.2.5): white space around and line ends inside
    are dropped, as are query and fragment; a slash in front is the root, and no `..` leads above it. The likeliest path
    is percent-decoded. The others are as written, with and without what looks like a query or fragment, decoded as
    Latin-1, and decoded twice: for entries that were named by the escaped form, and hrefs that were escaped by no rule.
    A slash in an escape is one, as calibre and ebooklib have it.
    `UnusableHref` if it is empty, too long, remote or on a drive, names the root, or hides a dot segment, a backslash
    or a NUL in an escape (`..%2f`).
    """
    if len(href) > _LONGEST:
        raise UnusableHref("it is longer than the name of a file in an archive")
    text = href.strip(_SPACE).translate(_LINE_ENDS)
    bare = text.partition("#")[0].partition("?")[0].replace("\\", "/")
    if not bare:
        raise UnusableHref("it is empty")
    if _DRIVE.match(bare) and bare[3:4] != "/":
        raise UnusableHref("it names a drive of a computer")
    if _SCHEME.match(bare) or bare.startswith("//"):
        raise UnusableHref("it points to another place than the book")
    decoded = "/".join(_decoded(segment) for segment in bare.split("/"))
    path, inside = _joined(base, decoded)
    others = [bare, text.replace("\\", "/"), *_odd_spellings(bare, decoded)]
    found = dict.fromkeys(each for each in (path, *(_joined(base, other)[0] for other in others)) if each)
    if not path:
        raise UnusableHref("it names a directory")
    return Paths(tuple(found), valid=inside and not bare.startswith("/") and bare.count("/") == decoded.count("/"))


def folded(path: str) -> str:
    """`path` as compared when the exact spelling is not there: Unicode NFC and case-folded (section 4.2.3)."""
    return unicodedata.normalize("NFC", path).casefold()


def _odd_spellings(bare: str, decoded: str) -> Iterator[str]:
    for other in (unquote(bare, encoding="cp1252", errors="replace"), unquote(decoded)):
        if other.count("/") == bare.count("/") and not {"\\", "\0", "\ufffd"} & set(other):
            yield other


def _decoded(segment: str) -> str:
    try:
        plain = unquote(segment, errors="strict")
    except UnicodeDecodeError:
        return segment
    if "\\" in plain or "\0" in plain or ("/" in plain and not {"", ".", ".."}.isdisjoint(plain.split("/"))):
        raise UnusableHref("it hides a separator in an escape")
    return plain


def _joined(base: str, relative: str) -> tuple[str, bool]:
    """The path, and whether it stays in the container by itself."""
    parts = [] if relative.startswith("/") else base.split("/")[:-1]
    inside = True
    for segment in relative.split("/"):
        if segment == "..":
            inside = inside and bool(parts)
            del parts[-1:]
        elif segment not in {"", "."}:
            parts.append(segment)
    return "/".join(parts), inside
