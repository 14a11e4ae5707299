"""What a client does before there is an operation: steps that start, open, resume and list."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, TypedDict, cast
from urllib.parse import quote, urlencode, urljoin, urlsplit
from uuid import uuid4

from lro_client.errors import InvalidRequest, ServiceUnreachable, StartRefused, UnexpectedAnswer, WaitCanceled
from lro_client.exchange import DeadlinePassed, Settings, addressed, exchange
from lro_client.messages import JSON_TYPE, Answer, Headers, Request, error_of
from lro_client.model import FinalState, Profile, Reading, Status, Track
from lro_client.pacing import TRANSIENT
from lro_client.polling import attach, begin
from lro_client.steps import Interrupted, Steps
from lro_client.tokens import load
from lro_client.tracker import Tracker
from lro_client.urls import check, query_value, resolve, with_api_version, without_query

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FIELD = re.compile(r"[\t\x20-\x7e]*")


class StartOptions(TypedDict, total=False):
    """What a start sends. `json` or `content` is its body, `headers` go with this request only.

    `final_state`: where the service says that the result lies, where it is not where the contract puts it.
    `operation_id`: the caller's own id of the operation (data plane), which makes the start safe to repeat.
    """

    json: Any
    content: bytes | str | None
    headers: Mapping[str, str] | None
    final_state: FinalState | None
    operation_id: str | None


class Starter:
    """The part of a client that knows its service and no I/O. `endpoint` may be a prefix of paths."""

    def __init__(
        self, endpoint: str | None, profile: Profile, settings: Settings, api_version: str | None = None
    ) -> None:
        self.endpoint = _without_fragment(check(endpoint)) if endpoint is not None else None
        self.profile = profile
        self.settings = settings
        self.api_version = api_version
        check_sendable("GET", settings.headers)

    def url(self, path: str, **query: str | None) -> str:
        """The absolute URL of a path below the endpoint, with the client's `api-version` where it has one.

        Raises:
            InvalidRequest: it has a fragment, or there is no endpoint.
            UnsafeUrl: see `lro_client.urls.check`.
        """
        _without_fragment(path)
        if urlsplit(path).scheme in ("http", "https"):
            url = path
        elif self.endpoint is None:
            raise InvalidRequest(f"{path!r} is a path, and this client has no endpoint")
        elif path.startswith("/"):
            url = urljoin(self.endpoint, path)
        else:
            # Not urljoin: it takes the colon of "book/x:upload" for that of a scheme.
            head, _, tail = self.endpoint.partition("?")
            url = f"{head.rstrip('/')}/{path}{f'&{tail}' if tail and '?' in path else f'?{tail}' if tail else ''}"
        asked = {name: value for name, value in query.items() if value is not None}
        if self.api_version and query_value(url, "api-version") is None:
            asked["api-version"] = self.api_version
        if asked:
            url += ("&" if "?" in url else "?") + urlencode(asked, quote_via=quote)
        return check(url)

    def start(
        self, method: str, path: str, options: StartOptions, deadline: float | None = None
    ) -> Steps[tuple[Tracker, Answer]]:
        """Send the start.

        Raises:
            InvalidRequest: it cannot be sent.
            StartRefused: the service answered with an error.
            ServiceUnreachable: it did not answer, or "not now", within the retries or the time.
            UnexpectedAnswer: a redirect, or 202 without a monitor.
            WaitCanceled: the token was used first.
        """
        try:
            return (yield from self.sent(method, self.url(path), options, deadline))
        except DeadlinePassed as passed:
            failed = f": {passed.told}" if passed.told else ""
            taken = "; it may have taken the request all the same" if passed.may_be_taken else ""
            raise ServiceUnreachable(
                f"{without_query(self.url(path))} did not answer in time{failed}{taken}.",
                answer=passed.answer,
            ) from None
        except Interrupted:
            raise WaitCanceled("The wait for the start's answer was given up.") from None

    def sent(
        self, method: str, url: str, options: StartOptions, deadline: float | None
    ) -> Steps[tuple[Tracker, Answer]]:
        """`start`, of an absolute URL; `DeadlinePassed` and `Interrupted` pass through."""
        home = self.endpoint or url
        headers, body = _payload(options)
        if options.get("operation_id"):
            headers = headers.merged({"Operation-Id": str(options.get("operation_id"))})
        request_id = headers.get("x-ms-client-request-id", str(uuid4()))
        request = Request(method.upper(), url, headers.merged({"x-ms-client-request-id": request_id}), body)
        check_sendable(request.method, request.headers)
        answer = yield from exchange(
            addressed(request, home, self.settings),
            self.settings,
            deadline=deadline,
            attempts=self.settings.retries.starts,
        )
        if answer.status_code >= 400:
            raise refused(answer)
        reading = begin(self.profile, answer, options.get("final_state"))
        reading = replace(reading, track=replace(reading.track, request_id=request_id))
        tracker = Tracker(reading, answer, self.settings, home)
        if reading.is_result_due:
            yield from tracker.guarded(tracker.update(deadline))
        return tracker, answer

    def open(self, url: str) -> Tracker:
        """An operation of which the monitor's URL is known and nothing else."""
        url = self.url(url)
        return self._tracker(attach(self.profile, url), self.endpoint or url)

    def resume(self, token: str) -> Tracker:
        """The operation of a token, ours or .NET's; see `lro_client.tokens.load` for errors."""
        track = load(token, profile=self.profile, home=self.endpoint)
        return self._tracker(track, self.endpoint or track.start_url)

    def _tracker(self, track: Track, home: str) -> Tracker:
        return Tracker(Reading(track, Status.NOT_STARTED), None, self.settings, home)

    def page(self, url: str, deadline: float | None = None) -> Steps[dict[str, Any]]:
        """One page of a list.

        Raises:
            StartRefused, ServiceUnreachable: the service answered with an error, or did not.
            UnexpectedAnswer: it is no list.
            WaitCanceled: the token was used first.
        """
        home = self.endpoint or url
        try:
            request = addressed(Request("GET", url), home, self.settings)
            answer = yield from exchange(request, self.settings, deadline=deadline)
        except DeadlinePassed as passed:
            failed = f": {passed.told}" if passed.told else ""
            raise ServiceUnreachable(
                f"{without_query(url)} did not answer in time{failed}.", answer=passed.answer
            ) from None
        except Interrupted:
            raise WaitCanceled("The wait for a page of the list was given up.") from None
        if answer.status_code >= 400:
            raise refused(answer, "The list")
        page = answer.object()
        if answer.status_code != 200 or page is None or not isinstance(page.get("value"), list):
            raise UnexpectedAnswer(f"{without_query(url)} is not a list of operations.", answer=answer)
        return page

    def next_page(self, url: str, page: dict[str, Any], read: set[str]) -> str | None:
        """The URL of the page after this one; it is followed as it is. `read` are the pages so far.

        Raises:
            UnexpectedAnswer: it leads back to one of them.
        """
        read.add(url)
        link = page.get("nextLink")
        if not isinstance(link, str) or not link:
            return None
        following = with_api_version(resolve(url, link), url)
        if following in read:
            raise UnexpectedAnswer(f"The list leads back to {without_query(following)}, which was read already.")
        return following


def refused(answer: Answer, what: str = "The start") -> StartRefused | ServiceUnreachable:
    """The error for an error answer to anything but a poll."""
    said = error_of(answer)
    tail = f": {said}" if said else ""
    if answer.status_code in TRANSIENT:
        return ServiceUnreachable(f"{what} was answered {answer.status_code}, whatever was tried{tail}", answer=answer)
    return StartRefused(f"{what} was refused with {answer.status_code}{tail}", answer=answer)


def items_of(page: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The operations of a page; what is no object is left out."""
    listed = cast("list[Any]", page["value"])
    return (cast("dict[str, Any]", item) for item in listed if isinstance(item, dict))


def check_sendable(method: str, headers: Mapping[str, str]) -> None:
    """Refuse what no request can have, before anything is sent: method and field names are tokens, values ASCII without
    control characters (RFC 9110, sections 5.5 and 5.6.2).

    Raises:
        InvalidRequest: as it says.
    """
    if not _TOKEN.fullmatch(method):
        raise InvalidRequest(f"{method!r} is no method")
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name):
            raise InvalidRequest(f"{name!r} is no name of a header")
        if not _FIELD.fullmatch(value):
            raise InvalidRequest(f"the header {name} has a value with characters that no header may have")


def _without_fragment(url: str) -> str:
    if "#" in url:
        shown = re.split("[?#]", url)[0]
        raise InvalidRequest(f"a '#' follows {shown!r}, behind which nothing is sent; in a path it is %23")
    return url


def _payload(options: StartOptions) -> tuple[Headers, bytes | None]:
    headers = Headers(options.get("headers") or {})
    content = options.get("content")
    if "json" in options and options.get("json") is not None:
        if content is not None:
            raise InvalidRequest("a start has one body: json or content")
        return Headers({"Content-Type": JSON_TYPE}).merged(headers), json.dumps(options.get("json")).encode()
    if isinstance(content, str):
        content = content.encode()
    return headers, content
