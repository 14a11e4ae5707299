"""Headers every profile has: request ids, what browsers may read, who calls, where we are."""

import re
import uuid
from collections.abc import Mapping
from urllib.parse import quote

from shared.contracts.http import Request, Response
from shared.errors import RequestError
from shared.settings import Settings

EXPOSED = (
    "Operation-Location, Operation-Id, Azure-AsyncOperation, Location, Retry-After, Preference-Applied, Allow, ETag, "
    "AsyncResult, OData-Version, OData-EntityId, "
    "x-ms-request-id, x-ms-client-request-id, x-ms-correlation-request-id, x-ms-error-code"
)
"""What a script on another origin may read (Fetch standard, "CORS-safelisted response-header name")."""

_PRINTABLE = re.compile(r"[\x20-\x7e]{1,128}")
_HOST = re.compile(r"[A-Za-z0-9.\-]+(?::\d+)?|\[[0-9A-Fa-f:.]+\](?::\d+)?")


def complete(request: Request, response: Response) -> Response:
    """Add the headers that every answer carries (Azure REST API Guidelines, "Request & Response headers")."""
    headers = {"x-ms-request-id": str(uuid.uuid4())}
    client_id = request.headers.get("x-ms-client-request-id", "")
    if _PRINTABLE.fullmatch(client_id):
        headers["x-ms-client-request-id"] = client_id
    if request.headers.get("origin"):
        headers["Access-Control-Expose-Headers"] = EXPOSED
    return Response(
        status=response.status,
        headers={**headers, **response.headers},
        body=response.body,
        content_type=response.content_type,
    )


def base_url(request: Request, settings: Settings) -> str:
    """The public address of this app without a slash at its end: the setting, else the request's own.

    Forwarded headers count only when the app is told that it stands behind a proxy which sets them.
    """
    if settings.public_base_url:
        return settings.public_base_url.rstrip("/")
    scheme, _, rest = request.url.partition("://")
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if settings.trust_forwarded_headers:
        scheme = _first(request.headers, "x-forwarded-proto") or scheme
        host = _first(request.headers, "x-forwarded-host") or host
    if scheme not in ("http", "https") or not _HOST.fullmatch(host):
        raise RequestError(400, "InvalidHost", "The request's host cannot be used in a URL; set PUBLIC_BASE_URL.")
    return f"{scheme}://{host}"


def owner(request: Request, settings: Settings) -> str:
    """Who calls: the signed-in principal, or the one owner that callers with platform keys share.

    The platform sets `x-ms-client-principal-*` only when App Service authentication is on, and then removes what a
    caller sends; without it anybody can send them (learn.microsoft.com, "Work with user identities in App Service").
    """
    if not (settings.trust_platform_auth and settings.platform_auth_enabled):
        return ""
    principal = request.headers.get("x-ms-client-principal-id", "")
    if not principal:
        raise RequestError(401, "Unauthenticated", "Sign in first: this app knows its callers by their identity.")
    provider = request.headers.get("x-ms-client-principal-idp", "")
    return f"{provider}:{principal}"


def segment(text: str) -> str:
    """`text` as one segment of a path."""
    return quote(text, safe="")


def _first(headers: Mapping[str, str], name: str) -> str:
    return headers.get(name, "").split(",")[0].strip()
