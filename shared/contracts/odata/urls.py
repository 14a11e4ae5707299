"""URLs of what a service has: its root, contexts, entities and their keys.

OData Protocol 4.01, section 10; OData URL Conventions 4.01, section 4.3.
"""

import re
from collections.abc import Sequence
from urllib.parse import quote

from shared.actions.odata.routes import ROOT
from shared.actions.odata.service import EntitySet
from shared.errors import RequestError

_KEY = r"\s*(?:([A-Za-z_][A-Za-z0-9_]*)\s*=\s*)?'((?:[^']|'')*)'\s*"
_ALIAS = r"\s*(?:[A-Za-z_][A-Za-z0-9_]*\s*=\s*)?@[A-Za-z_][A-Za-z0-9_]*\s*"


def service_root(base: str) -> str:
    """`base` is the public address of the app, without a slash at its end."""
    return f"{base}/{ROOT}"


def context_url(base: str, fragment: str = "", *, select: Sequence[str] | None = None, single: bool = False) -> str:
    """`{root}/$metadata#{fragment}({select})/$entity`, absolute (Protocol, sections 10.2 to 10.8)."""
    url = f"{service_root(base)}/$metadata"
    if not fragment:
        return url
    chosen = "" if select is None else f"({','.join(select)})"
    return f"{url}#{fragment}{chosen}{'/$entity' if single else ''}"


def entity_url(base: str, entity_set: EntitySet, key: str) -> str:
    """The canonical URL of an entity, quotes in its key doubled (URL Conventions, section 4.3)."""
    return f"{service_root(base)}/{entity_set.name}('{quote(quoted(key), safe='')}')"


def quoted(text: str) -> str:
    """The inside of a string literal."""
    return text.replace("'", "''")


def read_key(entity_set: EntitySet, text: str) -> str:
    """The key within the parentheses of `Books('moby-dick')` or `Books(id='moby-dick')`, percent-decoded already.

    Raises RequestError 501 for a parameter alias, which a key may be since OData 4.01, and 400 InvalidKey for anything
    else.
    """
    name = entity_set.key.name
    if re.fullmatch(_ALIAS, text):
        message = "A parameter alias is not supported as a key; write the key itself."
        raise RequestError(501, "PathNotSupported", message, target=entity_set.name)
    match = re.fullmatch(_KEY, text)
    if match is None or match[1] not in (None, name):
        message = f"A key is a string in single quotes: {entity_set.name}('...') or {entity_set.name}({name}='...')."
        raise RequestError(400, "InvalidKey", message, target=entity_set.name)
    return match[2].replace("''", "'")
