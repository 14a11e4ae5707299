"""For an expression that cannot be read: how it is meant to be written, or which part of OData it is, where that can be
told."""

import re

_OLD_LITERAL = re.compile(r"(?:date|datetime|datetimeoffset|guid|time|binary)\Z", re.IGNORECASE)
_STAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]*(?![0-9:.]|Z|[ +-][0-9]{2}:)", re.IGNORECASE)
_SUFFIXED = re.compile(r"[+-]?[0-9.]+[LMFD](?!\w)", re.IGNORECASE)

_CASE = re.compile(r"(?<!\w)case\s*\(", re.IGNORECASE)
_COUNT = re.compile(r"/\$count\Z", re.IGNORECASE)
_GEO = re.compile(r"(?<!\w)(?:geography|geometry)\Z", re.IGNORECASE)


def unsupported(text: str, at: int) -> str | None:
    """The part of OData that stands at `at` and is not in the grammar (URL Conventions 4.01, section 5.1.1)."""
    before, sign = text[:at], text[at : at + 1]
    if sign in ("[", "{"):
        return "A list or an object in JSON"
    if sign == ":" and _CASE.search(before):
        return "The function 'case'"
    if sign == "(" and _COUNT.search(before):
        return "$count with options"
    if sign == "'" and _GEO.search(before):
        return "A geographic literal"
    return None


def hint(text: str, at: int) -> str:
    """A semicolon and what to write instead of what stands at `at`; empty where nothing is known of it.

    Those are literals of OData 2 and 3 (OData 4 URL Conventions 4.01, section 5.1.1.14.1, has them without prefix and
    suffix), a date without its offset, and quotes.
    """
    rest = text[at:]
    if rest.startswith("'"):
        if _OLD_LITERAL.search(text[:at]):
            return "; OData 4 writes dates and GUIDs bare, such as 2024-01-31T00:00:00Z"
        return "; a text ends with a quote, a quote inside it is written twice, and & as %26"
    if rest.startswith('"'):
        return "; a text stands in single quotes"
    if _SUFFIXED.match(rest):
        return "; a number has no suffix"
    if any(stamp.start() <= at <= stamp.end() for stamp in _STAMP.finditer(text)):
        return "; a date with a time ends in Z or in an offset such as +01:00"
    if rest.startswith("="):
        return "; equal is eq"
    return ""
