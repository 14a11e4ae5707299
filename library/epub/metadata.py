"""From the values of a package document to those of a book: which title, which date, what if there is none."""

import re
from calendar import monthrange

from library.epub.book import Metadata, WarningCode, WarningLog
from library.epub.errors import shown
from library.epub.package import Package, Value

_UNTITLED = "Untitled"
_ISO_DATE = re.compile(
    r"([12]\d{3})(?:-(0[1-9]|1[0-2])(?:-(0[1-9]|[12]\d|3[01]))?|(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01]))?(?![0-9])",
    re.ASCII,
)
_YEAR = re.compile(r"(?<![0-9])([12]\d{3})(?![0-9])", re.ASCII)
_FIRST_PUBLISHED = ("publication", "published", "original-publication", "issued")


def describe(package: Package, log: WarningLog) -> Metadata:
    """What the package says of the book, with a warning for each required value that it does not say.

    Required: title, language, identifier (EPUB 3.3 section 5.5.3). The title falls back to the first identifier,
    then to "Untitled". Of several titles the first in the document is the main one (section 5.5.3.2), unless the book
    calls another one that (appendix D.3.11, title-type), as calibre and Readium have it.
    """
    if package.odd_namespace:
        log.add(WarningCode.PACKAGE_NAMESPACE, "The package document does not use the namespaces of OPF.")
    identifiers = _identifiers(package, log)
    by_rank = sorted(package.values.get("title", []), key=lambda title: title.id not in package.main_titles)
    titles = tuple(title.text for title in by_rank)
    if not titles:
        log.add(WarningCode.METADATA, "The book has no title; its identifier stands in for it.")
    languages = _texts(package, "language")
    if not languages:
        log.add(WarningCode.METADATA, "The book does not say its language.")
    return Metadata(
        title=next(iter((*titles, *identifiers, _UNTITLED))),
        creators=_texts(package, "creator"),
        language=next(iter(languages), None),
        identifiers=identifiers,
        published=_published(package.values.get("date", []), log),
        publisher=next(iter(_texts(package, "publisher")), None),
    )


def date_of(text: str) -> str | None:
    """`YYYY`, `YYYY-MM` or `YYYY-MM-DD` from a date in the wild; None if it names no year from 1000 to 2999.

    What precedes the time of day of an ISO 8601 date, with or without hyphens, or else the only year in the text
    ("May 1998"). A day that its month does not have is left out. Some tools write the year 0101 for "unknown", which is
    none.
    """
    if match := _ISO_DATE.match(text):
        parts = [part for part in match.groups() if part]
        if len(parts) == len(("year", "month", "day")) and int(parts[2]) > monthrange(int(parts[0]), int(parts[1]))[1]:
            del parts[2]
        return "-".join(parts)
    years = set(_YEAR.findall(text))
    return years.pop() if len(years) == 1 else None


def _published(dates: list[Value], log: WarningLog) -> str | None:
    # OPF 2.0.1 section 2.2.7: opf:event says what happened then. A modification is never the publication.
    ranked = sorted(
        (date for date in dates if date.event != "modification"),
        key=lambda date: 0 if date.event in _FIRST_PUBLISHED else 1 if date.event is None else 2,
    )
    for date in ranked:
        if found := date_of(date.text):
            return found
    if ranked:
        log.add(WarningCode.METADATA, f"The date {shown(ranked[0].text)} names no year.")
    return None


def _identifiers(package: Package, log: WarningLog) -> tuple[str, ...]:
    values = package.values.get("identifier", [])
    unique = [value.text for value in values if value.id is not None and value.id == package.unique_id]
    if not values:
        log.add(WarningCode.METADATA, "The book has no identifier.")
    elif not unique:
        log.add(WarningCode.METADATA, "The book does not say which of its identifiers is the unique one.")
    return tuple(dict.fromkeys((*unique, *(value.text for value in values))))


def _texts(package: Package, name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value.text for value in package.values.get(name, [])))
