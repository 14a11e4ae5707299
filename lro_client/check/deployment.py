"""What can be seen of a deployment without starting anything: steps, without I/O of their own."""

from email.utils import parsedate_to_datetime
from uuid import uuid4

from lro_client.check.asking import Asker, Unanswered
from lro_client.check.findings import (
    ADDRESS,
    CLOCK,
    CLOSED,
    HTTPS,
    PASSED_ON,
    SCRIPTS,
    VERSIONS,
    Outcome,
    code_of,
    public_base,
    remedy_of,
)
from lro_client.messages import Answer
from lro_client.steps import Steps
from lro_client.urls import is_loopback, is_same_base

MOST_SKEW = 60.0
"""Seconds that two clocks may differ: tokens and signed URLs allow for some minutes, and a network takes its own."""
_NO_VERSION = "0001-01-01"


def look(asker: Asker, *, has_credential: bool, anonymous: bool) -> Steps[bool]:
    """All of it. False where nothing else makes sense: there is no such app, or it takes no credential."""
    is_plain = not asker.base.lower().startswith("https:") and not is_loopback(asker.base)
    if is_plain:
        asker.problem("https", f"{asker.base} is http", HTTPS)
    if not (yield from _health(asker)) or is_plain:
        return False
    yield from _guarded(asker, "authentication", _refused(asker, has_credential, anonymous))
    if not (yield from _guarded(asker, "list", _given(asker))):
        return False
    yield from _guarded(asker, "version", _version(asker))
    yield from _guarded(asker, "base URL", _base(asker))
    yield from _guarded(asker, "routes", _routes(asker))
    return True


def _guarded(asker: Asker, check: str, steps: Steps[bool]) -> Steps[bool]:
    try:
        return (yield from steps)
    except Unanswered as error:
        asker.problem(check, str(error), error.remedy)
        return False


def _health(asker: Asker) -> Steps[bool]:
    """Whether there is an app at all."""
    try:
        answer = yield from asker.ask("GET", asker.url("health"), as_anybody=True, tries=1)
    except Unanswered as error:
        asker.problem("health", str(error), error.remedy)
        return False
    body = answer.object() or {}
    if answer.status_code == 200 and body.get("status") == "Healthy":
        asker.ok("health", "Healthy")
    elif isinstance(found := body.get("problems"), list):
        for code in map(str, found):
            asker.problem("health", f"The app says that it is unhealthy: {code}", remedy_of(answer, code))
    else:
        asker.unlike("health", answer, "200 Healthy")
    _clock(asker, answer)
    return answer.status_code not in (404, 502, 504)


def _clock(asker: Asker, answer: Answer) -> None:
    """What the service's clock says beside this one."""
    try:
        then = parsedate_to_datetime(answer.headers.get("date", ""))
        skew = (asker.settings.clock.now() - then).total_seconds()
    except (ValueError, TypeError):
        asker.skip("clock", "The answer has no Date")
        return
    if abs(skew) > MOST_SKEW:
        asker.problem("clock", f"This machine is {abs(skew):.0f} s {'ahead' if skew > 0 else 'behind'}", CLOCK)
    else:
        asker.ok("clock", f"Within {MOST_SKEW:.0f} s of this machine's")


def _refused(asker: Asker, has_credential: bool, anonymous: bool) -> Steps[bool]:
    """What somebody without a credential gets."""
    check = "authentication"
    answer = yield from asker.ask("GET", asker.url("status", top="1"), as_anybody=True)
    if answer.status_code in (401, 403):
        if anonymous:
            asker.unlike(check, answer, "200, as --anonymous wants it")
        else:
            asker.ok(check, f"Refused without a credential: {answer.status_code}")
        if not has_credential:
            asker.skip(check, "No credential was given: LRO_KEY, LRO_TOKEN or --identity")
    elif answer.status_code != 200:
        asker.unlike(check, answer, "401", SCRIPTS if answer.status_code < 400 else None)
    elif anonymous:
        asker.ok(check, "Everybody may call, as --anonymous wants it")
    elif is_loopback(asker.base):
        asker.skip(check, "A local host asks nobody for a credential")
    else:
        asker.problem(check, "Everybody may list and start operations: no credential was sent", CLOSED)
    return True


def _given(asker: Asker) -> Steps[bool]:
    """What the given credential is good for."""
    answer = yield from asker.ask("GET", asker.url("status", top="1"))
    if answer.status_code == 200 and isinstance((answer.object() or {}).get("value"), list):
        asker.ok("list", "Operations are listed")
        return True
    asker.unlike("list", answer, "200 with a list of operations", ADDRESS if answer.status_code == 200 else None)
    return answer.status_code >= 500


def _version(asker: Asker) -> Steps[bool]:
    """Which api-versions there are, and that the query arrives: a version that cannot be is refused."""
    given = asker.api_version
    answer = yield from asker.ask("GET", asker.url("status", **{"api-version": _NO_VERSION}))
    if answer.status_code == 200:
        asker.problem("version", f"api-version={_NO_VERSION} was not refused: the query does not arrive", PASSED_ON)
        return False
    if answer.status_code != 400:
        asker.unlike("version", answer, "400 UnsupportedApiVersionValue")
        return False
    if given and any(each.check == "list" and each.outcome is Outcome.PROBLEM for each in asker.findings):
        asker.problem("version", f"Nothing could be read with api-version={given}", VERSIONS)
        return False
    described = yield from asker.ask("GET", asker.url("openapi.json"))
    info = (described.object() or {}).get("info")
    served = info.get("version") if isinstance(info, dict) else None
    if given and served and given != served:
        asker.problem("version", f"The app serves api-version {served}; {given} was asked for", VERSIONS)
    else:
        asker.ok("version", f"api-version {served or given or 'is checked'}")
    return True


def _base(asker: Asker) -> Steps[bool]:
    """Where the app says that it is: all its URLs begin so."""
    answer = yield from asker.ask("GET", asker.url("openapi.json"))
    servers = (answer.object() or {}).get("servers")
    first = servers[0] if isinstance(servers, list) and servers else None
    found = first.get("url") if isinstance(first, dict) else None
    if answer.status_code != 200 or not isinstance(found, str):
        asker.unlike("base URL", answer, "200 with the app's description")
        return False
    if is_same_base(found, asker.base):
        asker.ok("base URL", f"URLs of the app begin with {found}")
    else:
        asker.problem("base URL", f"URLs of the app begin with {found}, not with {asker.base}", public_base(asker.base))
    return True


def _routes(asker: Asker) -> Steps[bool]:
    """Whether every method and the colon arrive, by operations that do not exist: the app itself has to say so."""
    id = str(uuid4())
    kinds: list[tuple[str, str, bytes | None]] = [
        ("GET", f"status/{id}", None), ("POST", f"status/{id}:cancel", b""), ("DELETE", f"status/{id}", None),
    ]  # fmt: skip
    right = True
    for method, path, body in kinds:
        answer = yield from asker.ask(method, asker.url(path), body)
        if answer.status_code != 404 or code_of(answer) != "OperationNotFound":
            right = False
            remedy = PASSED_ON if code_of(answer) in (None, "RouteNotFound") else None
            asker.unlike("routes", answer, "404 OperationNotFound", remedy)
    if right:
        asker.ok("routes", "GET, POST and DELETE arrive, and a colon in the path")
    return right
