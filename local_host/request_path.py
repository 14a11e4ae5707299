"""The path of a request target, decoded as Kestrel does before the router sees it.

Source: ASP.NET Core, `PathDecoder`/`UrlDecoder` (percent escapes) and `PathNormalizer.RemoveDotSegments`.
"""

import re

_ESCAPES = re.compile(r"(?:%[0-9A-Fa-f]{2})+")


class BadPathError(ValueError):
    """The server answers 400 before any function is called."""


def decode_path(raw: str) -> str:
    """Percent-decoded path without dot segments.

    `%2F` stays as it is (it would make a new segment), and so does an escape that is no UTF-8; `+` is not a space.
    """
    decoded = _ESCAPES.sub(lambda match: _decode_run(match.group()), raw) if "%" in raw else raw
    if "\x00" in decoded:
        raise BadPathError("a path must not hold the null character")
    return _remove_dot_segments(decoded) if "/." in decoded else decoded


def _decode_run(run: str) -> str:
    data = bytes.fromhex(run.replace("%", ""))
    out: list[str] = []
    index = 0
    while index < len(data):
        size = _sequence_length(data[index])
        try:
            char = data[index : index + size].decode("utf-8")
        except UnicodeDecodeError:
            char = ""
        if char in {"", "/"}:
            size = 1
            char = run[index * 3 : index * 3 + 3]
        out.append(char)
        index += size
    return "".join(out)


def _sequence_length(lead: int) -> int:
    """Bytes a UTF-8 sequence with this lead byte has (1 for what cannot lead, whose decoding then fails)."""
    if lead >= 0xF0:
        return 4
    if lead >= 0xE0:
        return 3
    return 2 if lead >= 0xC0 else 1


def _remove_dot_segments(path: str) -> str:
    """RFC 3986, section 5.2.4."""
    out: list[str] = []
    pieces = path.split("/")
    for index, piece in enumerate(pieces):
        last = index == len(pieces) - 1
        if piece == "..":
            if len(out) > 1:
                out.pop()
            if last:
                out.append("")
        elif piece == ".":
            if last:
                out.append("")
        else:
            out.append(piece)
    return "/".join(out)
