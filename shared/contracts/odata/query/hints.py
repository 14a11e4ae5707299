"""For an expression that cannot be read: how it is meant to be written, or which part of OData it is, where that can be
told."""

import re

_OLD_LITERAL = r"(?i:date|datetime|datetimeoffset|guid|time|binary)\Z"
_STAMP = r"(?i:[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]*(?![0-9:.]|Z|[ +-][0-9]{2}:))"
_SUFFIXED = r"(?i:[+-]?[0-9.]+[LMFD](?!\w))"
_CASE = r"(?<!\w)(?i:case)\s*\("
_COUNT = r"(?i:/\$count)\Z"
_GEO = r"(?<!\w)(?i:geography|geometry)\Z"
"""Compiled where a filter is wrong."""


def unsupported(text: str, at: int) -> str | None:
    """The part of OData that stands at `at` and is not in the grammar (URL Conventions 4.01, section 5.1.1)."""
    before, sign = text[:at], text[at : at + 1]
    if sign in ("[", "{"):
        return "A list or an object in JSON"
    if sign == ":" and re.search(_CASE, before):
        return "The function 'case'"
    if sign == "(" and re.search(_COUNT, before):
        return "$count with options"
    if sign == "'" and re.search(_GEO, before):
        return "A geographic literal"
    return None


def hint(text: str, at: int) -> str:
    """A semicolon and what to write instead of what stands at `at`; empty where nothing is known of it.

    Those are literals of OData 2 and 3 (OData 4 URL Conventions 4.01, section 5.1.1.14.1, has them without prefix and
    suffix), a date without its offset, and quotes.
    """
    rest = text[at:]
    if rest.startswith("'"):
        if re.search(_OLD_LITERAL, text[:at]):
            return "; OData 4 writes dates and GUIDs bare, such as 2024-01-31T00:00:00Z"
        return "; a text ends with a quote, a quote inside it is written twice, and & as %26"
    if rest.startswith('"'):
        return "; a text stands in single quotes"
    if re.match(_SUFFIXED, rest):
        return "; a number has no suffix"
    if any(stamp.start() <= at <= stamp.end() for stamp in re.finditer(_STAMP, text)):
        return "; a date with a time ends in Z or in an offset such as +01:00"
    if rest.startswith("="):
        return "; equal is eq"
    return ""
