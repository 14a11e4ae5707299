"""URLs of the requests of a batch: their three forms, and references such as `$1` to an earlier request's entity.

OData Protocol 4.01, sections 11.7.4 "Referencing Returned Entities", 11.7.5 "Referencing the ETag of an Entity" and
11.7.7.1 (the forms); OData JSON Format 4.01, section 19.1.
"""

import re
from collections.abc import Collection, Mapping
from urllib.parse import unquote

from shared.contracts.http import Response
from shared.contracts.odata.batch.parts import AGAIN, Batch, BatchRequest, succeeded
from shared.contracts.odata.messages import header, invalid
from shared.errors import RequestError
from shared.frozen import frozen

SYSTEM_RESOURCES = frozenset({"all", "async", "batch", "crossjoin", "entity", "id", "metadata", "root"})
"""Names behind `$` at the service root: they come before a request's id of the same name."""

_ID = f"[A-Za-z0-9._~-]+(?:{AGAIN}[0-9]+)?"
_REFERENCE = re.compile(rf"(?:\$|%24)({_ID})(?=[/?]|\Z)")
_ETAG_REFERENCE = re.compile(rf"\s*\$({_ID})\s*")
_ABSOLUTE = re.compile(r"(https?)://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_CONDITIONS = ("if-match", "if-none-match")
_PORTS = {"http": ":80", "https": ":443"}


@frozen
class Referred:
    """What an earlier request left to refer to."""

    url: str | None
    """Of its entity, absolute; None if the request failed, or has no end yet."""
    etag: str | None = None
    """As in the ETag header."""


def relative_url(url: str, root: str, also: Collection[str] = ()) -> str:
    """The URL relative to the service root, without a slash at its start.

    `root` is the absolute URL of the service root without a slash at its end; `also` are other addresses of it. Raises
    RequestError 400 for a URL outside the service, one with `.` or `..` segments, or with a fragment.
    """
    found = _relative(url, root, also)
    path = found.partition("?")[0]
    if "#" in found or any(unquote(segment) in (".", "..") for segment in path.split("/")):
        raise invalid(f"The URL {url[:200]!r} has a fragment, or a segment that is . or ..")
    return found


def entity_reference(relative: str) -> tuple[str, str] | None:
    """The id and the rest of a URL that begins with a reference; None for any other."""
    match = _REFERENCE.match(relative)
    return (match[1], relative[match.end() :]) if match and match[1].lower() not in SYSTEM_RESOURCES else None


def etag_references(headers: Mapping[str, str]) -> dict[str, str]:
    """The conditions that are an unquoted `$` and an id: the id by the header's name."""
    found = {name: _ETAG_REFERENCE.fullmatch(headers[name]) for name in _CONDITIONS if name in headers}
    return {name: match[1] for name, match in found.items() if match}


def check_references(batch: Batch, root: str, also: Collection[str] = ()) -> Batch:
    """The batch itself, once every URL is one of the service, is no batch, and refers to what comes before.

    In JSON what is referred to must be listed in `dependsOn`, itself or by its group, or be in the same group. Raises
    RequestError 400; nothing has been done then.
    """
    earlier: dict[str, BatchRequest] = {}
    ids = {request.id for request in batch.requests}
    for request in batch.requests:
        relative = relative_url(request.url, root, also)
        if "$batch" in unquote(relative.partition("?")[0]).lower().split("/"):
            raise invalid(f"Request {request.id!r} is a batch; a batch holds no other")
        reference = entity_reference(relative)
        for name in [*([reference[0]] if reference else []), *etag_references(request.headers).values()]:
            if name not in earlier:
                problem = "comes later" if name in ids else "is no request of this batch"
                raise invalid(f"Request {request.id!r} refers to ${name}, which {problem}")
            group = earlier[name].group
            is_listed = name in request.depends_on or (
                group is not None and (group == request.group or group in request.depends_on)
            )
            if batch.is_json and not is_listed:
                listed = name if group is None else group
                raise invalid(f"Request {request.id!r} refers to ${name} without {listed!r} in dependsOn")
        earlier[request.id] = request
    return batch


def resolve(url: str, known: Mapping[str, Referred], root: str, also: Collection[str] = ()) -> str:
    """The absolute URL of a request, its reference replaced by the entity's URL.

    Raises RequestError 400 for a URL outside the service or an unknown reference, 424 for one to a failed request.
    """
    relative = relative_url(url, root, also)
    reference = entity_reference(relative)
    if reference is None:
        return f"{root}/{relative}" if relative and not relative.startswith("?") else root + relative
    name, rest = reference
    target = _known(known, name).url
    if target is None:
        raise _failed(name)
    return target + rest


def resolve_conditions(headers: Mapping[str, str], known: Mapping[str, Referred]) -> dict[str, str]:
    """The headers with ETags in the place of references to them. Raises RequestError 400 and 424 as `resolve` does."""
    resolved = dict(headers)
    for header_name, name in etag_references(headers).items():
        etag = _known(known, name).etag
        if etag is None:
            raise _failed(name)
        resolved[header_name] = etag
    return resolved


def referred(url: str, response: Response) -> Referred:
    """What a request to `url`, absolute and resolved, left behind: the entity it made, else the resource it named.

    202 leaves nothing: its Location is a monitor's, and how the request ends is not known yet.
    """
    if not succeeded(response.status):
        return Referred(None)
    made = header(response.headers, "location") or header(response.headers, "odata-entityid")
    return Referred(made or url.partition("?")[0], header(response.headers, "etag"))


def _relative(url: str, root: str, also: Collection[str]) -> str:
    bases = (root, *also)
    if match := _ABSOLUTE.fullmatch(url):
        origin = _origin(match[1], match[2])
        found = [_below(match[3], path) for at, path in map(_split, bases) if at == origin]
    elif not url.startswith("/"):
        found = [None if _SCHEME.match(url) else url]
    elif entity_reference(url[1:]):
        found = [url[1:]]
    else:
        found = [_below(url, path) for _, path in map(_split, bases)]
    relative = next((rest for rest in found if rest is not None), None)
    if relative is None:
        raise invalid(f"The URL {url[:200]!r} is outside the service {root}")
    return relative


def _below(path: str, base: str) -> str | None:
    """What follows the path of the service root; the host routes without regard to case."""
    if not path.lower().startswith(base.lower()):
        return None
    rest = path[len(base) :]
    if rest.startswith("/"):
        return rest[1:]
    return rest if rest == "" or rest.startswith("?") else None


def _origin(scheme: str, host: str) -> str:
    scheme, host = scheme.lower(), host.lower()
    return f"{scheme}://{host.removesuffix(_PORTS[scheme])}"


def _split(base: str) -> tuple[str, str]:
    """The origin and the path of a service root."""
    match = _ABSOLUTE.fullmatch(base)
    assert match is not None, "a service root is an absolute URL"
    return _origin(match[1], match[2]), match[3]


def _known(known: Mapping[str, Referred], name: str) -> Referred:
    if name not in known:
        raise invalid(f"${name} refers to no earlier request of this batch")
    return known[name]


def _failed(name: str) -> RequestError:
    return RequestError(424, "FailedDependency", f"${name} refers to a request that has left nothing to refer to.")
