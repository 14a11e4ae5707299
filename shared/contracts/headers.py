"""Headers every profile has: request ids, what browsers may read, who calls, where we are."""

import math
import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from random import getrandbits
from urllib.parse import quote

from shared.contracts.http import Request, Response
from shared.contracts.scheduling import HEADER as NOT_BEFORE
from shared.errors import RequestError, SettingsError
from shared.frozen import replace
from shared.model.operation import CONDITION, Operation
from shared.model.times import write_time
from shared.settings import Settings

EXPOSED = (
    "Operation-Location, Operation-Id, Azure-AsyncOperation, Location, Retry-After, retry-after-ms, "
    "Operation-Not-Before, Preference-Applied, Allow, ETag, Accept-Encoding, AsyncResult, OData-Version, "
    "OData-EntityId, x-ms-request-id, x-ms-client-request-id, x-ms-correlation-request-id, x-ms-error-code"
)
"""What a script on another origin may read (Fetch standard, "CORS-safelisted response-header name")."""

WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
QUOTED = r'"(?:[^"\\]|\\.)*"'
"""A token and a quoted string (RFC 9110, sections 5.6.2 and 5.6.4)."""

_ELEMENT = re.compile(rf'(?:[^,"]|{QUOTED}|")*')
_MAX_LIST = 2048
PRINTABLE = re.compile(r"[\x20-\x7e]{1,128}")
_AFTER_HOST = re.compile(r"[/?#]")
_HOST = re.compile(r"[A-Za-z0-9.\-]+(?::\d+)?|\[[0-9A-Fa-f:.]+\](?::\d+)?")


_DEFAULTS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
"""Nobody keeps what belongs to somebody, unless the answer says otherwise, and the content type is meant (Fetch
standard, "X-Content-Type-Options")."""


def complete(request: Request, response: Response) -> Response:
    """Add the headers that every answer carries (Azure REST API Guidelines, "Request & Response headers")."""
    headers = {"x-ms-request-id": _request_id()}
    client_id = request.headers.get("x-ms-client-request-id", "")
    if client_id and PRINTABLE.fullmatch(client_id):
        headers["x-ms-client-request-id"] = client_id
    if request.headers.get("origin"):
        headers["Access-Control-Expose-Headers"] = EXPOSED
    headers |= response.headers
    for name, value in _DEFAULTS.items():
        headers.setdefault(name, value)
    return Response(status=response.status, headers=headers, body=response.body, content_type=response.content_type)


_UUID_4 = 0x4000_8000_0000_0000_0000
_CHOSEN = ~0xF000_C000_0000_0000_0000
"""Version and variant of a UUID, and the bits that are left to chance (RFC 9562, section 5.4)."""


def _request_id() -> str:
    """A UUID, version 4. It names a request and guards nothing, so chance of the cheap kind is enough."""
    text = f"{getrandbits(128) & _CHOSEN | _UUID_4:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def of_a_part(response: Response) -> Response:
    """An answer inside another one, without what caches and browsers are told: they read that of the whole."""
    return replace(response, headers={n: value for n, value in response.headers.items() if n not in _DEFAULTS})


def base_url(request: Request, settings: Settings) -> str:
    """The public address of this app without a slash at its end: the setting, else the request's own and the prefix.

    Forwarded headers count only when the app is told that it stands behind a proxy which sets them.
    """
    if settings.public_base_url:
        return settings.public_base_url.rstrip("/")
    scheme, _, rest = request.url.partition("://")
    host = _AFTER_HOST.split(rest, maxsplit=1)[0]
    if settings.trust_forwarded_headers:
        scheme = _first(request.headers, "x-forwarded-proto") or scheme
        host = _first(request.headers, "x-forwarded-host") or host
    if scheme not in ("http", "https") or not _HOST.fullmatch(host):
        raise RequestError(400, "InvalidHost", "The request's host cannot be used in a URL; set PUBLIC_BASE_URL.")
    return f"{scheme}://{host}{settings.root_path}"


def owner(request: Request, settings: Settings) -> str:
    """Who calls: the signed-in principal, or the one owner that callers with platform keys share.

    The platform sets `x-ms-client-principal-*` only when App Service authentication is on, and then removes what a
    caller sends; without it anybody can send them (learn.microsoft.com, "Work with user identities in App Service").
    Raises SettingsError where it is to be trusted and off, RequestError 401 for who has not signed in.
    """
    check_platform_auth(settings)
    if not settings.trust_platform_auth:
        return ""
    principal = request.headers.get("x-ms-client-principal-id", "")
    if not principal:
        raise RequestError(401, "Unauthenticated", "Sign in first: this app knows its callers by their identity.")
    provider = request.headers.get("x-ms-client-principal-idp", "")
    return f"{provider}:{principal}"


def check_platform_auth(settings: Settings) -> None:
    """Raise SettingsError where principals are to be trusted and nobody checks them: all callers would be one."""
    if settings.trust_platform_auth and not settings.platform_auth_enabled:
        raise SettingsError(
            "TRUST_PLATFORM_AUTH is true, but App Service authentication is off: the platform does not set "
            "WEBSITE_AUTH_ENABLED to True; switch it on, or set TRUST_PLATFORM_AUTH to false"
        )


def pace(operation: Operation) -> dict[str, str]:
    """When to poll next, while there is something to wait for: in whole seconds, at least one.

    Beside it, the time that the start has named for the first attempt.
    """
    if operation.status.is_terminal:
        return {}
    headers = {"Retry-After": str(max(1, operation.retry_after))}
    if operation.scheduled is not None:
        headers[NOT_BEFORE] = write_time(operation.scheduled)
    return headers


def paced(response: Response, seconds: float | None) -> Response:
    """The answer, with a proposal when to poll next where there is one.

    `Retry-After` goes up to whole seconds. Its unit is too large for short work, so `retry-after-ms` stands beside it;
    clients that do not know that keep to the other one (azure-core's policies name both headers).
    """
    shortest = response.headers.get("Retry-After")
    if seconds is None or shortest is None:
        return response
    whole, fine = max(int(shortest), math.ceil(seconds)), math.ceil(seconds * 1000)
    return replace(response, headers={**response.headers, "Retry-After": str(whole), "retry-after-ms": str(fine)})


def condition(headers: Mapping[str, str]) -> dict[str, str]:
    """What a write demands of its resource's state, as its operation remembers that; empty where it is nothing."""
    lines = [f"{name}: {headers[name]}" for name in ("if-match", "if-none-match") if name in headers]
    return {CONDITION: sha256("\n".join(lines).encode()).hexdigest()} if lines else {}


def elements(header: str) -> Iterator[str]:
    """The elements of a list, of which as much is read as callers have a use for; commas in quotes separate nothing."""
    position, header = 0, header[:_MAX_LIST]
    while position < len(header):
        element = _ELEMENT.match(header, position)
        assert element is not None, "it matches everything"
        yield element[0]
        position = element.end() + 1


def segment(text: str) -> str:
    """`text` as one segment of a path."""
    return quote(text, safe="")


def _first(headers: Mapping[str, str], name: str) -> str:
    return headers.get(name, "").split(",")[0].strip()
