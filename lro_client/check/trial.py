"""Operations of a check's own: started, watched, canceled, fetched and deleted. Steps, without I/O of their own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from uuid import uuid4

from lro_client.check.asking import Asker, Unanswered
from lro_client.check.findings import (
    HOST_KEY,
    OPERATION,
    PASSED_ON,
    SLOW,
    TRIAL,
    UNCACHED,
    in_words,
    public_base,
)
from lro_client.errors import UnsafeUrl
from lro_client.messages import Answer
from lro_client.model import Status, status_of
from lro_client.steps import Steps
from lro_client.urls import below, is_trusted, last_segment, normalized, origin, resolve, without_query

CHECKS = ("start", "monitor URL", "monitor", "Retry-After", "end", "result", "cancel", "delete")
_MONITORS = ("operation-location", "azure-asyncoperation", "location")


@dataclass(frozen=True, slots=True)
class Trial:
    """The start that is sent, twice: the first operation is seen to its end, the second one is canceled."""

    path: str
    method: str = "POST"
    body: bytes | None = None


@dataclass(slots=True)
class _Watched:
    """An operation of the check: where it is asked, and all that its monitor said."""

    url: str
    answers: list[Answer] = field(default_factory=list[Answer])

    @property
    def last(self) -> Mapping[str, object]:
        return (self.answers[-1].object() or {}) if self.answers else {}

    @property
    def status(self) -> Status:
        return status_of(str(self.last.get("status")))


def try_out(asker: Asker, trial: Trial) -> Steps[None]:
    """Start, watch, cancel, fetch and delete. What cannot be looked at any more is reported as skipped."""
    known = len(asker.findings)
    try:
        yield from _try_out(asker, trial)
    except Unanswered as error:
        asker.problem("trial", str(error), error.remedy)
    looked_at = {finding.check for finding in asker.findings[known:]}
    for check in CHECKS:
        if check not in looked_at:
            asker.skip(check, "What comes before it is not right")


def _try_out(asker: Asker, trial: Trial) -> Steps[None]:
    first = yield from _started(asker, trial)
    if first is None:
        return
    _retry_after(asker, first)
    watched = yield from _found(asker, first)
    if watched is None or not (yield from _ended(asker, watched, "end")):
        return
    _caching(asker, watched)
    if watched.status is Status.SUCCEEDED:
        asker.ok("end", "Succeeded")
        yield from _result(asker, watched)
    else:
        error = watched.last.get("error")
        asker.problem("end", f"The operation ended as {watched.last.get('status')}: {error}", OPERATION)
        asker.skip("result", "The operation has none")
    canceled = yield from _canceled(asker, trial, watched.url)
    yield from _deleted(asker, [watched, *([] if canceled is None else [canceled])])


def _started(asker: Asker, trial: Trial) -> Steps[Answer | None]:
    """A start that was accepted and says where it is watched."""
    id = str(uuid4())
    url = asker.versioned(below(asker.base, trial.path.lstrip("/")))
    answer = yield from asker.ask(trial.method, url, trial.body, id=id if trial.method == "POST" else None)
    if answer.status_code not in (200, 201, 202):
        asker.unlike("start", answer, "202", TRIAL if answer.status_code in (400, 404, 405, 409, 415, 422) else None)
        return None
    if "operation-location" not in answer.headers:
        others = [name for name in _MONITORS if name in answer.headers]
        if others:
            asker.skip("start", f"Answered with {others[0]}: only the data plane's operations are looked at")
        else:
            asker.problem("start", f"{in_words(answer)} without Operation-Location: no long-running action, or the "
                                   "header is taken away", PASSED_ON)  # fmt: skip
        return None
    if (found := (answer.object() or {}).get("id", id)) != id and trial.method == "POST":
        asker.problem("start", f"Operation-Id: {id} was sent, and the operation is {found}", PASSED_ON)
    else:
        asker.ok("start", f"{answer.status_code} with Operation-Location")
    return answer


def _retry_after(asker: Asker, answer: Answer) -> None:
    """The pace of polls, of an answer while the operation runs."""
    text = answer.headers.get("retry-after", "")
    if text.isascii() and text.isdigit() and int(text) >= 1:
        asker.ok("Retry-After", f"{text} s")
    else:
        asker.problem("Retry-After", f"The start has {text!r}, not whole seconds", PASSED_ON)


def _found(asker: Asker, first: Answer) -> Steps[_Watched | None]:
    """Follow the monitor's URL as every client does. Where it leads elsewhere, look where the app would have it: one
    mistake does not hide others."""
    given = first.headers["operation-location"]
    ours = asker.url(f"status/{last_segment(given)}")
    try:
        url = resolve(first.url, given)
    except UnsafeUrl as error:
        asker.problem("monitor URL", error.message, public_base(asker.base))
        return (yield from _readable(asker, ours))
    if wrong := _differences(asker.base, url):
        message = f"{without_query(url)} is not below {asker.base}: another {' and '.join(wrong)}"
        asker.problem("monitor URL", message, public_base(asker.base))
        return (yield from _readable(asker, ours))
    asker.ok("monitor URL", "Scheme, host, port and prefix are those of the start")
    return (yield from _readable(asker, url))


def _differences(base: str, url: str) -> list[str]:
    """Which parts of a URL are not those of the base it should be below."""
    one, other = urlsplit(origin(base)), urlsplit(origin(url))
    found: list[str] = []
    found += ["scheme"] if one.scheme != other.scheme else []
    found += ["host"] if one.hostname != other.hostname else []
    found += ["port"] if one.port != other.port and one.scheme == other.scheme else []
    is_below = f"{urlsplit(url).path}/".startswith(f"{urlsplit(base).path.rstrip('/')}/")
    found += [] if is_below and _is_short(base, url) else ["path"]
    return found


def _is_short(base: str, url: str) -> bool:
    """Whether nothing stands between the base and the route: a gateway that strips a prefix hands out the app's own."""
    rest = urlsplit(url).path.removeprefix(urlsplit(base).path.rstrip("/"))
    return "/status/" not in rest or rest.startswith("/status/")


def _readable(asker: Asker, url: str) -> Steps[_Watched | None]:
    """One look, with the credential of the start."""
    watched = _Watched(url)
    answer = yield from asker.ask("GET", url)
    if answer.status_code == 200 and isinstance((answer.object() or {}).get("status"), str):
        watched.answers.append(answer)
        sent = "" if is_trusted(url, asker.base, asker.settings.allowed_origins) else ", without the credential"
        asker.ok("monitor", f"Read by its URL{sent}")
        return watched
    asker.unlike("monitor", answer, "200 with the status", HOST_KEY if answer.status_code == 401 else None)
    return None


def _ended(asker: Asker, watched: _Watched, check: str) -> Steps[bool]:
    """Poll to the end, as the answers want it."""
    while not watched.status.is_terminal:
        if not (yield from asker.rest(asker.delay(watched.answers[-1]))):
            asker.problem(check, f"The operation is {watched.last.get('status')} when the time is up", SLOW)
            return False
        answer = yield from asker.ask("GET", watched.url)
        if answer.status_code != 200 or not isinstance((answer.object() or {}).get("status"), str):
            asker.unlike(check, answer, "200 with the status")
            return False
        watched.answers.append(answer)
    return True


def _caching(asker: Asker, watched: _Watched) -> None:
    """Whether something before the app keeps what it should not."""
    aged = [answer.headers["age"] for answer in watched.answers if answer.headers.get("age", "0") != "0"]
    kept = [answer.headers.get("cache-control", "") for answer in watched.answers]
    if aged:
        asker.problem("caching", f"An answer of the monitor was {aged[0]} s old", UNCACHED)
    elif not all("no-store" in text or "no-cache" in text for text in kept):
        asker.problem("caching", f"The monitor came with Cache-Control: {kept[0] or 'nothing'}", UNCACHED)
    else:
        asker.ok("caching", "Monitors are not kept")


def _result(asker: Asker, watched: _Watched) -> Steps[None]:
    """The result by itself, beside the monitor."""
    url = asker.url(f"status/{last_segment(watched.url)}/result")
    answer = yield from asker.ask("GET", url)
    if answer.status_code in (200, 204):
        asker.ok("result", f"{len(answer.body)} bytes")
    else:
        asker.unlike("result", answer, "200 or 204")


def _canceled(asker: Asker, trial: Trial, like: str) -> Steps[_Watched | None]:
    """A second operation, canceled at once."""
    id = str(uuid4())
    url = asker.versioned(below(asker.base, trial.path.lstrip("/")))
    answer = yield from asker.ask(trial.method, url, trial.body, id=id if trial.method == "POST" else None)
    if answer.status_code not in (200, 201, 202) or "operation-location" not in answer.headers:
        asker.skip("cancel", f"A second start was answered {in_words(answer)}")
        return None
    found = last_segment(answer.headers["operation-location"])
    if normalized(like).partition("?")[0].endswith(f"/{found}"):
        asker.skip("cancel", "The second start was answered with the first operation")
        return None
    answer = yield from asker.ask("POST", asker.url(f"status/{found}:cancel"), b"")
    if answer.status_code != 200:
        asker.unlike("cancel", answer, "200")
        return None
    watched = _Watched(asker.url(f"status/{found}"), [answer])
    if not (yield from _ended(asker, watched, "cancel")):
        return None
    asker.ok("cancel", f"Ended as {watched.last.get('status')}")
    return watched


def _deleted(asker: Asker, done: list[_Watched]) -> Steps[None]:
    """What was made goes, and is gone."""
    for watched in done:
        answer = yield from asker.ask("DELETE", watched.url)
        if answer.status_code != 204:
            asker.unlike("delete", answer, "204")
            return
        after = yield from asker.ask("GET", watched.url)
        if after.status_code != 404:
            asker.unlike("delete", after, "404 after it was deleted", UNCACHED if after.status_code == 200 else None)
            return
    asker.ok("delete", f"Nothing is left of the {len(done)} operations of this check")
