"""What a client does before there is an operation: steps that start, open, resume and list."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, TypedDict
from urllib.parse import quote, urlencode
from uuid import uuid4

from lro_client.errors import InvalidRequest, ServiceUnreachable, StartRefused, UnexpectedAnswer, WaitCanceled
from lro_client.exchange import DeadlinePassed, Settings, addressed, exchange
from lro_client.messages import JSON_TYPE, Answer, Headers, Request
from lro_client.model import FinalState, Profile, Reading, Status, Track
from lro_client.pacing import TRANSIENT
from lro_client.polling import attach, begin
from lro_client.reasons import error_of
from lro_client.steps import Interrupted, Steps
from lro_client.tokens import load
from lro_client.tracker import Tracker
from lro_client.urls import below, check, is_absolute, normalized, query_value, resolve, with_api_version, without_query

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FIELD = re.compile(r"[\t\x20-\x7e]*")


class StartOptions(TypedDict, total=False):
    """What a start sends. `json` or `content` is its body, `headers` go with this request only.

    `final_state`: where the service says that the result lies, where it is not where the contract puts it.
    `operation_id`: the caller's own id of the operation (data plane), which makes the start safe to repeat.
    `not_before`: when the work is to begin at the earliest, an aware datetime; sent as `Operation-Not-Before`.
    """

    json: Any
    content: bytes | str | None
    headers: Mapping[str, str] | None
    final_state: FinalState | None
    operation_id: str | None
    not_before: datetime | None


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
        if is_absolute(path):
            url = path
        elif self.endpoint is None:
            raise InvalidRequest(f"{path!r} is a path, and this client has no endpoint")
        else:
            url = below(self.endpoint, path)
        parameters = {name: value for name, value in query.items() if value is not None}
        if self.api_version and query_value(url, "api-version") is None:
            parameters["api-version"] = self.api_version
        if parameters:
            url += ("&" if "?" in url else "?") + urlencode(parameters, quote_via=quote)
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
            taken = "; it may have taken the request all the same" if passed.may_be_taken else ""
            raise _late(self.url(path), passed, taken) from None
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
        if (due := options.get("not_before")) is not None:
            headers = headers.merged({"Operation-Not-Before": _date_time(due)})
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

    def pages(
        self, path: str, filter: str | None, top: int | None, timeout: float | None
    ) -> Iterator[Steps[list[dict[str, Any]]]]:
        """The steps of one page of a list after the other; each is run before the next. A `nextLink` is followed as
        it is, and what is no object is left out.

        Raises:
            StartRefused, ServiceUnreachable: the service answered with an error, or did not.
            UnexpectedAnswer: it is no list, or leads back to a page before.
            WaitCanceled: the token was used first.
        """
        url = self.url(path, filter=filter, top=None if top is None else str(top))
        deadline = self.settings.deadline(timeout)
        read = {normalized(url)}
        while True:
            page: dict[str, Any] = {}
            yield self._items(url, deadline, page)
            link = page.get("nextLink")
            if not isinstance(link, str) or not link:
                return
            url = with_api_version(resolve(url, link), url)
            if normalized(url) in read:
                raise UnexpectedAnswer(f"The list leads back to {without_query(url)}, which was read already.")
            read.add(normalized(url))

    def _items(self, url: str, deadline: float | None, page: dict[str, Any]) -> Steps[list[dict[str, Any]]]:
        """The operations of a page, whose other members go to `page`."""
        try:
            request = addressed(Request("GET", url), self.endpoint or url, self.settings)
            answer = yield from exchange(request, self.settings, deadline=deadline)
        except DeadlinePassed as passed:
            raise _late(url, passed) from None
        except Interrupted:
            raise WaitCanceled("The wait for a page of the list was given up.") from None
        if answer.status_code >= 400:
            raise refused(answer, "The list")
        page |= answer.object() or {}
        if answer.status_code != 200 or not isinstance(page.get("value"), list):
            raise UnexpectedAnswer(f"{without_query(url)} is not a list of operations.", answer=answer)
        return [item for item in page["value"] if isinstance(item, dict)]


def _late(url: str, passed: DeadlinePassed, more: str = "") -> ServiceUnreachable:
    return ServiceUnreachable(f"{passed.told_of(url)}{more}.", answer=passed.answer)


def refused(answer: Answer, what: str = "The start") -> StartRefused | ServiceUnreachable:
    """The error for an error answer to anything but a poll."""
    error = error_of(answer)
    tail = f": {error}" if error else ""
    if answer.status_code in TRANSIENT:
        return ServiceUnreachable(f"{what} was answered {answer.status_code}, whatever was tried{tail}", answer=answer)
    return StartRefused(f"{what} was refused with {answer.status_code}{tail}", answer=answer)


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


def _date_time(due: datetime) -> str:
    """RFC 3339. Raises InvalidRequest for a time of no place: nobody could tell when that is."""
    if due.tzinfo is None:
        raise InvalidRequest(f"not_before={due.isoformat()} has no offset; make it an aware datetime")
    return due.isoformat()
