"""Names of files that are results: how they are checked, made up, and told to who downloads one. Pure."""

import mimetypes
import re
from urllib.parse import quote

DEFAULT_TYPE = "application/octet-stream"

LONGEST_NAME = 200
"""Characters: file systems take 255 bytes, and browsers add numbers."""

_FORBIDDEN = r"\x00-\x1f\x7f-\x9f/\\:*?\"<>|\ud800-\udfff\u202a-\u202e\u2066-\u2069"
"""What is no part of a name on some system, or shows it in another order than it has."""
# Patterns are left to `re`, which compiles them when they are first used: importing an app pays for none.
_NAME = rf"(?![.\s])[^{_FORBIDDEN}]*[^{_FORBIDDEN}\s.]"

_WORD = r"[A-Za-z0-9!#$&^_.+-]{1,127}"
_TYPE = rf"{_WORD}/{_WORD}(?: *; *{_WORD}=(?:{_WORD}|\"[^\"\\\x00-\x1f\x7f-\U0010ffff]*\"))*"
"""A media type (RFC 9110, section 8.3.1; names as RFC 6838, section 4.2 has them)."""


def is_file_name(value: object) -> bool:
    """Whether every file system takes it: no path, no hidden file, nothing that shows it as another name."""
    return isinstance(value, str) and len(value) <= LONGEST_NAME and re.fullmatch(_NAME, value) is not None


def is_media_type(value: object) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST_NAME and re.fullmatch(_TYPE, value) is not None


def default_name(content_type: str) -> str:
    """`result`, with the ending of that type."""
    # Not the machine's own table: names would differ from instance to instance.
    known = mimetypes.MimeTypes().guess_extension(content_type.partition(";")[0].strip().lower())
    return f"result{known or ''}"


def attachment(file_name: str) -> str:
    """The Content-Disposition that has a browser save it under this name (RFC 6266, section 4 and appendix D)."""
    plain = re.sub(r"[^A-Za-z0-9 !#$&+.^_`|~()\[\]{},=@'-]", "_", file_name)
    more = "" if plain == file_name else f"; filename*=UTF-8''{quote(file_name, safe='!#$&+.^_`|~-')}"
    return f'attachment; filename="{plain}"{more}'
