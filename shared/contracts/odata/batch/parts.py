"""A batch: its requests, their groups and dependencies, and the rules that hold before any of it is done.

OData Protocol 4.01, section 11.7 "Batch Requests"; OData JSON Format 4.01, section 19. An atomicity group of the JSON
format and a change set of the multipart format are one thing here: a group.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import field
from itertools import groupby
from urllib.parse import parse_qsl

from shared.contracts.errors import error_response
from shared.contracts.http import Request, Response
from shared.contracts.odata.limits import MAX_REQUESTS
from shared.contracts.odata.messages import invalid
from shared.errors import RequestError
from shared.frozen import frozen

MADE_UP = "*"
"""How an id begins that a multipart part without a Content-ID is given: no `$` reference can name it."""

AGAIN = "!"
"""What parts the id of a multipart request from a number, where another change set has had that id before."""

_FROM_THE_BATCH = frozenset(
    {"authorization", "proxy-authorization", "cookie", "host", "forwarded", "client-ip", "disguised-host"}
)
_FROM_THE_BATCH_PREFIXES = (
    "x-appservice-",
    "x-arr-",
    "x-forwarded-",
    "x-functions-",
    "x-ms-client-principal",
    "x-ms-token-",
    "x-original-",
    "x-site-",
    "x-waws-",
)
_LEFT_OUT = frozenset({"connection", "expect", "from", "keep-alive", "max-forwards", "range", "te", "upgrade"})
_INHERITED = ("odata-version", "odata-maxversion")
_PREFERENCES = ("continue-on-error", "odata.continue-on-error")


@frozen(kw_only=True)
class BatchLimits:
    """What is refused before it is looked at any further."""

    requests: int = MAX_REQUESTS
    """In all, those of groups included."""
    bytes: int = 100 * 1024 * 1024
    """Of the body."""


@frozen(kw_only=True)
class BatchRequest:
    """`headers` have lower-case names; those that say who calls, or that frame the message, are not among them."""

    id: str
    method: str
    url: str
    """As it came: absolute, a path, relative to the service root, or beginning with a reference such as `$1`."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""
    group: str | None = None
    depends_on: tuple[str, ...] = ()
    """Ids of earlier requests and names of earlier groups."""


@frozen(kw_only=True)
class BatchResponse:
    """The answer to one request of a batch."""

    id: str
    response: Response
    group: str | None = None


def shown_id(id: str) -> str | None:
    """The id as the client has it; None where it has given none."""
    return None if id.startswith(MADE_UP) else id.partition(AGAIN)[0]


Unit = tuple[BatchRequest, ...]
"""What is done at once: one request, or the members of a group."""


@frozen(kw_only=True)
class Batch:
    """Requests in the order in which they came; the members of a group stand side by side."""

    requests: tuple[BatchRequest, ...]
    is_json: bool

    @property
    def units(self) -> tuple[Unit, ...]:
        return tuple(tuple(members) for _, members in groupby(self.requests, key=lambda r: (r.group, r.group or r.id)))


def check_structure(batch: Batch) -> Batch:
    """The batch itself, once its ids, groups and dependencies fit; raises RequestError 400 that names the rule.

    JSON Format 4.01, section 19.1: ids are unique, also among the groups' names; members of a group are adjacent;
    `dependsOn` names what came before, and of another group its name. Protocol 4.01, section 11.7.7: no GET in a group.
    """
    ids = {request.id: request for request in batch.requests}
    groups = {request.group for request in batch.requests if request.group is not None}
    if len(ids) != len(batch.requests):
        seen: set[str] = set()
        twice = next(r.id for r in batch.requests if r.id in seen or seen.add(r.id)).partition(AGAIN)[0]
        raise _invalid(f"two requests have the id {twice!r}; an id is unique in its batch", twice)
    if both := groups & ids.keys():
        name = min(both)
        raise _invalid(f"{name!r} is the id of a request and the name of a group; they must differ", name)
    earlier: dict[str, BatchRequest] = {}
    closed: set[str] = set()
    current: str | None = None
    for request in batch.requests:
        if request.group != current:
            if current is not None:
                closed.add(current)
            current = request.group
        if current in closed:
            raise _invalid(f"the requests of the group {current!r} must stand side by side", request.id)
        if current is not None and request.method == "GET":
            raise _invalid(f"request {request.id!r} is a GET in a group; a group holds changes only", request.id)
        for name in request.depends_on:
            _check_dependency(request, name, earlier, closed, ids.keys() | groups)
        earlier[request.id] = request
    return batch


def forwarded(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of an enclosed request that count.

    A part must not say who calls (Protocol 4.01, section 11.7.7.1), but clients copy their headers into every part:
    what it says of that is left out, and `as_request` takes it from the batch.
    """
    return {name: value for name, value in headers.items() if name not in _LEFT_OUT and not _is_of_the_batch(name)}


def as_request(request: BatchRequest, url: str, batch: Request) -> Request:
    """The request as if it had come alone to `url`, which is absolute; its route parameters are still to be found.

    Who calls, and by which address, is what the batch says. So are the OData versions where the request does not say
    (Protocol 4.01, section 8.1.5 "Header OData-Version", section 8.2.7 "Header OData-MaxVersion").
    """
    of_the_batch = {name: value for name, value in batch.headers.items() if _is_of_the_batch(name)}
    versions = {name: batch.headers[name] for name in _INHERITED if name in batch.headers}
    query: dict[str, str] = {}
    for name, value in parse_qsl(url.partition("?")[2], keep_blank_values=True):
        query[name] = f"{query[name]},{value}" if name in query else value
    return Request(
        method=request.method,
        url=url,
        headers={**versions, **forwarded(request.headers), **of_the_batch},
        query=query,
        body=request.body,
    )


def continues_on_error(batch: Batch, preferences: Mapping[str, str]) -> bool:
    """Whether what comes after a failed request is still done (Protocol 4.01, section 8.2.8.3; JSON Format, 19.5).

    A multipart batch stops unless it is told to go on, a JSON batch goes on unless it is told to stop.
    """
    preference = next((preferences[name].lower() for name in _PREFERENCES if name in preferences), None)
    return batch.is_json if preference not in ("", "true", "false") else preference != "false"


def succeeded(status: int) -> bool:
    """Whether a request is done and well: 2xx, but not 202, of which nobody knows yet how it ends."""
    return 200 <= status < 300 and status != 202


def failures(responses: Iterable[BatchResponse]) -> set[str]:
    """The ids of requests that did not succeed, and the names of their groups."""
    failed = [answer for answer in responses if not succeeded(answer.response.status)]
    return {answer.id for answer in failed} | {answer.group for answer in failed if answer.group is not None}


def unmet_dependency(unit: Unit, failed: Set[str]) -> str | None:
    """The first request or group on which the unit depends and that is in `failed`."""
    return next((name for request in unit for name in request.depends_on if name in failed), None)


def failed_dependency(request: BatchRequest, message: str) -> BatchResponse:
    """424: the request was not done because of another one (JSON Format 4.01, sections 19.1 and 19.6)."""
    error = RequestError(424, "FailedDependency", message)
    return BatchResponse(id=request.id, group=request.group, response=error_response(error))


def failed_group(unit: Unit, culprit: str, response: Response) -> list[BatchResponse]:
    """The answers of a group of which nothing was done: the culprit's own, and 424 for the others."""
    message = f"Nothing of the group was done: request {culprit!r} failed."
    return [
        BatchResponse(id=request.id, group=request.group, response=response)
        if request.id == culprit
        else failed_dependency(request, message)
        for request in unit
    ]


def answered_units(responses: Sequence[BatchResponse]) -> list[list[BatchResponse]]:
    """The answers by group, in the order of the first of each: readers want those of a group side by side."""
    units: dict[tuple[str | None, str], list[BatchResponse]] = {}
    for answer in responses:
        units.setdefault((answer.group, answer.group or answer.id), []).append(answer)
    return list(units.values())


def _check_dependency(
    request: BatchRequest, name: str, earlier: Mapping[str, BatchRequest], closed: Set[str], known: Set[str]
) -> None:
    if name in (request.id, request.group):
        raise _invalid(f"request {request.id!r} depends on itself", request.id)
    if name in closed:
        return
    if name not in earlier:
        problem = "comes later" if name in known else "is not in the batch"
        raise _invalid(f"request {request.id!r} depends on {name!r}, which {problem}", request.id)
    group = earlier[name].group
    if group not in (None, request.group) and group not in request.depends_on:
        problem = f"request {request.id!r} depends on {name!r}, which is in the group {group!r}; name the group"
        raise _invalid(problem, request.id)


def _is_of_the_batch(name: str) -> bool:
    return name in _FROM_THE_BATCH or name.startswith(_FROM_THE_BATCH_PREFIXES)


def _invalid(problem: str, target: str) -> RequestError:
    error = invalid(problem[:1].upper() + problem[1:])
    return RequestError(error.status, error.code, error.message, target=target)
