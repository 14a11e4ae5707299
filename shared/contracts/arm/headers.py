"""Who asks on an ARM route, and headers of its requests and answers: addresses, correlation, conditions. Pure."""

import re
from collections.abc import Mapping, Sequence

from shared.contracts import versions
from shared.contracts.caller import Caller, caller_of
from shared.contracts.conditions import matches
from shared.contracts.headers import PRINTABLE, base_url
from shared.contracts.http import Request, Response
from shared.errors import RequestError
from shared.frozen import replace
from shared.settings import Settings

_ORIGIN = re.compile(r"(https?)://([A-Za-z0-9.\-]+(?::\d{1,5})?)(?=[/?#]|$)", re.IGNORECASE)


def arm_caller(request: Request, settings: Settings, api_versions: Sequence[str]) -> Caller:
    """As `caller_of`; raises RequestError 400 for an api-version that is not among these, first of all.

    It is required (ARM RPC, "Common API Details"). A poll may come with another version than the start did, so monitors
    take any supported one (Azure REST API Guidelines, "The Status Monitor Resource").
    """
    stated = replace(request, query={name: value for name, value in request.query.items() if value})
    version = versions.api_version(stated, required=True, supported=api_versions)
    return caller_of(request, settings, api_version=version)


def monitor_base(request: Request, settings: Settings) -> str:
    """What monitor URLs start with: the configured address, else the referer's where it is trusted, else the request's.

    ARM RPC, `async-api-reference.md`, "202 Accepted and Location Headers": the host is that of the `referer` header,
    which ARM sets to the address its caller used. Anybody else can set it too, so it counts only where a setting says
    that all requests come through ARM. ARM's own URLs have no route prefix.
    """
    if not settings.public_base_url and settings.trust_referer:
        origin = _ORIGIN.match(request.headers.get("referer", ""))
        if origin:
            return f"{origin[1].lower()}://{origin[2]}"
    return base_url(request, settings)


def for_boundary(request: Request) -> Request:
    """The request without its client id unless the caller wants it back.

    ARM RPC, "Common API Details": `x-ms-client-request-id` is echoed when `x-ms-return-client-request-id` is true.
    """
    if request.headers.get("x-ms-return-client-request-id", "").strip().lower() == "true":
        return request
    return replace(request, headers={n: v for n, v in request.headers.items() if n != "x-ms-client-request-id"})


def complete(request: Request, response: Response) -> Response:
    """Add the correlation id: the caller's, else our request id (ARM RPC, "Common API Details")."""
    given = request.headers.get("x-ms-correlation-request-id", "")
    own = response.headers.get("x-ms-request-id", "")
    correlation = given if PRINTABLE.fullmatch(given) else own
    return replace(response, headers={**response.headers, "x-ms-correlation-request-id": correlation})


def check_conditions(headers: Mapping[str, str], etag: str | None) -> None:
    """Raise 412 unless the write's conditions hold; `etag` is None where there is nothing.

    RFC 9110, 13.1.1 and 13.1.2; Azure REST API Guidelines, "Conditional Requests": `If-None-Match: *` creates only.
    `If-Match` compares strongly, `If-None-Match` weakly.
    """
    match, none_match = headers.get("if-match"), headers.get("if-none-match")
    if match is not None and not matches(match, etag, weak=False):
        raise _failed("If-Match", "The resource is not the one If-Match names; read it again.")
    if none_match is not None and matches(none_match, etag, weak=True):
        raise _failed("If-None-Match", "The resource exists already, as If-None-Match has ruled out.")


def _failed(target: str, message: str) -> RequestError:
    return RequestError(412, "PreconditionFailed", message, target=target)
