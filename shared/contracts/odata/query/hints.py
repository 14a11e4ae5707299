"""A second sentence for an expression that cannot be read: how it is meant to be written, where that can be told."""

import re

_OLD_LITERAL = r"(?i:datetime|datetimeoffset|guid|time|binary)\Z"
_STAMP = r"(?i:[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]*(?![0-9:.]|Z|[ +-][0-9]{2}:))"
_SUFFIXED = r"(?i:[+-]?[0-9.]+[LMFD](?!\w))"
"""Compiled where a filter is wrong."""


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
