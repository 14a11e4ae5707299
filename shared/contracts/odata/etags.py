"""ETags of entities (OData Protocol 4.01, sections 8.2.4, 8.2.5, 8.3.1; RFC 9110, section 8.8.3)."""

import re
from typing import Literal
from urllib.parse import quote, unquote

from shared.actions.odata.entities import Stored
from shared.errors import RequestError

_LIST = r'\s*(?:(?:W/)?"[^"]*"\s*,\s*)*(?:W/)?"[^"]*"\s*'
_ETAG = r'"([^"]*)"'


def etag_header(stored: Stored) -> str | None:
    """`W/"..."`, weak because one entity has several representations; None where the source has no etag."""
    return f'W/"{quote(stored.etag, safe="")}"' if stored.etag else None


def parse_etags(header: str | None) -> tuple[str, ...] | Literal["*"] | None:
    """The etags of If-Match or If-None-Match as stored ones are written; None where the header is absent.

    They compare weakly, since OData's ETags may all be weak. Raises RequestError 400 for what is no list of ETags.
    """
    if header is None or not header.strip():
        return None
    if header.strip() == "*":
        return "*"
    if not re.fullmatch(_LIST, header):
        message = 'If-Match and If-None-Match take * or ETags such as W/"1a2b", as they came with the entity.'
        raise RequestError(400, "InvalidETag", message)
    return tuple(unquote(etag) for etag in re.findall(_ETAG, header))


def is_named(stored: Stored, etags: tuple[str, ...] | Literal["*"] | None) -> bool:
    """Whether the etags of a header are, or have, that of the entity; None, of no header, names none."""
    return etags == "*" or (etags is not None and stored.etag in etags)
