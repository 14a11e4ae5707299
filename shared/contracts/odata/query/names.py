"""The names of query options (OData URL Conventions 4.01, section 5): in any case, with and without `$`, each once."""

from collections.abc import Iterable

from shared.errors import RequestError

OPTIONS = frozenset({"filter", "search", "orderby", "select", "top", "skip", "count", "skiptoken", "format"})
NOT_SUPPORTED = frozenset({"expand", "apply", "compute", "index", "schemaversion", "deltatoken"})
_NOT_SUPPORTED_WITH_DOLLAR = frozenset({"$id", "$levels"})
"""These words are too common to be anything but a caller's own where they come without `$`."""


def option(written: str) -> str | None:
    """The option that a name means, in lower case and without `$`; None where it means none."""
    name = written.lower().removeprefix("$")
    known = name in OPTIONS | NOT_SUPPORTED or written.lower() in _NOT_SUPPORTED_WITH_DOLLAR
    return name if known else None


def check_once(names: Iterable[str]) -> None:
    """Raise RequestError 400 for an option, or a parameter alias, that is there twice, in whatever spelling."""
    seen: set[str] = set()
    for written in names:
        name = option(written)
        shown = written if name is None else f"${name}"
        if name is None and not written.startswith(("$", "@")):
            continue
        if shown in seen:
            message = f"The query option {shown[:80]} is there twice; give it once."
            raise RequestError(400, "InvalidQueryOption", message, target=shown[:80])
        seen.add(shown)
