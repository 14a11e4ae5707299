"""Headers of ARM requests and answers: addresses, correlation, conditions. Pure."""

import re
from collections.abc import Mapping
from dataclasses import replace

from shared.contracts.headers import base_url
from shared.contracts.http import Request, Response
from shared.errors import RequestError
from shared.settings import Settings

_ORIGIN = re.compile(r"(https?)://([A-Za-z0-9.\-]+(?::\d{1,5})?)(?=[/?#]|$)", re.IGNORECASE)
_ETAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_PRINTABLE = re.compile(r"[\x20-\x7e]{1,128}")


def monitor_base(request: Request, settings: Settings) -> str:
    """What monitor URLs start with: the configured address, else the referer's where it is trusted, else the request's.

    ARM RPC, `async-api-reference.md`, "202 Accepted and Location Headers": the host is that of the `referer` header,
    which ARM sets to the address its caller used. Anybody else can set it too, so it counts only where a setting says
    that all requests come through ARM.
    """
    if not settings.public_base_url and settings.trust_referer:
        origin = _ORIGIN.match(request.headers.get("referer", ""))
        if origin:
            return f"{origin[1].lower()}://{origin[2]}"
    return base_url(request, settings)


def for_border(request: Request) -> Request:
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
    correlation = given if _PRINTABLE.fullmatch(given) else own
    return replace(response, headers={**response.headers, "x-ms-correlation-request-id": correlation})


def check_conditions(headers: Mapping[str, str], etag: str | None) -> None:
    """Raise 412 unless the write's conditions hold; `etag` is None where there is nothing.

    RFC 9110, 13.1.1 and 13.1.2; Azure REST API Guidelines, "Conditional Requests": `If-None-Match: *` creates only.
    `If-Match` compares strongly, `If-None-Match` weakly.
    """
    match, none_match = headers.get("if-match"), headers.get("if-none-match")
    if match is not None and not _matches(match, etag, weak=False):
        raise _failed("If-Match", "The resource is not the one If-Match names; read it again.")
    if none_match is not None and _matches(none_match, etag, weak=True):
        raise _failed("If-None-Match", "The resource exists already, as If-None-Match has ruled out.")


def is_not_modified(headers: Mapping[str, str], etag: str) -> bool:
    """Whether a GET is answered 304 (RFC 9110, 13.1.2)."""
    none_match = headers.get("if-none-match")
    return none_match is not None and _matches(none_match, etag, weak=True)


def _matches(header: str, etag: str | None, *, weak: bool) -> bool:
    if etag is None:
        return False
    if header.strip() == "*":
        return True
    return any(f'"{value}"' == etag and (weak or not is_weak) for is_weak, value in _ETAG.findall(header))


def _failed(target: str, message: str) -> RequestError:
    return RequestError(412, "PreconditionFailed", message, target=target)
