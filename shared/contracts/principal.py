"""Roles of the signed-in principal: what App Service authentication says of it beside its id. Pure.

learn.microsoft.com, "Work with user identities in App Service": `X-MS-CLIENT-PRINCIPAL` is JSON in base64, with the
claims of the token and the name that role claims have there (`role_typ`). An app role of Microsoft Entra is one.
"""

import base64
import json
from typing import Any, cast

from shared.contracts.http import Request
from shared.settings import Settings

_ROLE_CLAIMS = ("roles", "http://schemas.microsoft.com/ws/2008/06/identity/claims/role")


def roles(request: Request, settings: Settings) -> frozenset[str]:
    """The caller's; none where principals are not trusted, and none of a header that cannot be read."""
    text = request.headers.get("x-ms-client-principal", "")
    if not settings.trust_platform_auth or not text:
        return frozenset()
    try:
        principal = json.loads(base64.b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, RecursionError):
        return frozenset()
    if not isinstance(principal, dict):
        return frozenset()
    said = cast(dict[str, Any], principal)
    named: Any = said.get("role_typ")
    types = {*_ROLE_CLAIMS, *([named] if isinstance(named, str) else [])}
    claims: Any = said.get("claims")
    found: set[str] = set()
    for claim in cast(list[Any], claims) if isinstance(claims, list) else []:
        if isinstance(claim, dict):
            each = cast(dict[str, Any], claim)
            kind, value = each.get("typ"), each.get("val")
            if isinstance(kind, str) and isinstance(value, str) and kind in types:
                found.add(value)
    return frozenset(found)
