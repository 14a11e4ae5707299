"""One request of a check, whatever comes of it, and the list of what was found."""

from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlencode
from uuid import uuid4

from lro_client.check.findings import DOWN, PASSED_ON, Finding, Outcome, Remedy, in_words, remedy_of
from lro_client.errors import CredentialUnavailable, LroError, ServiceUnreachable
from lro_client.exchange import DeadlinePassed, Settings, addressed, exchange, pause
from lro_client.messages import JSON_TYPE, Answer, Headers, Request
from lro_client.pacing import retry_after
from lro_client.steps import Steps
from lro_client.urls import query_value, without_query

TRIES = 3


class Unanswered(Exception):
    """There is no answer. The message says why, `remedy` what to do."""

    def __init__(self, message: str, remedy: Remedy) -> None:
        super().__init__(message)
        self.remedy = remedy


@dataclass(slots=True)
class Asker:
    """Asks the app at `base`, and reports. `deadline` is a moment of the settings' clock."""

    base: str
    settings: Settings
    api_version: str | None
    deadline: float | None
    report: Callable[[Finding], None]
    findings: list[Finding] = field(default_factory=list[Finding])

    def url(self, path: str, **query: str) -> str:
        """The URL of a path below the base, with the api-version where there is one."""
        if self.api_version:
            query = {"api-version": self.api_version} | query
        return f"{self.base}/{path}" + (f"?{urlencode(query)}" if query else "")

    def versioned(self, url: str) -> str:
        """`url` with the api-version, where it has none."""
        if not self.api_version or query_value(url, "api-version") is not None:
            return url
        return f"{url}{'&' if '?' in url else '?'}{urlencode({'api-version': self.api_version})}"

    def ask(
        self, method: str, url: str, body: bytes | None = None, *, id: str | None = None, as_anybody: bool = False,
        tries: int = TRIES,
    ) -> Steps[Answer]:  # fmt: skip
        """The answer, whatever it is. `as_anybody`: without the credential. `id`: an `Operation-Id`.

        Raises:
            Unanswered: there is none, or the credential may not be sent.
        """
        headers = Headers({"x-ms-client-request-id": str(uuid4())})
        if body is not None:
            headers = headers.merged({"Content-Type": JSON_TYPE})
        if id is not None:
            headers = headers.merged({"Operation-Id": id})
        request = Request(method, url, headers, body)
        if not as_anybody:
            request = addressed(request, self.base, self.settings)
        else:
            request = Request(method, url, headers.merged({"Accept": JSON_TYPE}), body, trusted=False)
        try:
            return (yield from exchange(request, self.settings, deadline=self.deadline, attempts=tries))
        except DeadlinePassed as passed:
            raise Unanswered(passed.told_of(url), DOWN) from None
        except CredentialUnavailable as error:
            remedy = Remedy("Give a credential that can be sent: LRO_KEY, LRO_TOKEN or --identity, over https.",
                            "docs/client.md")  # fmt: skip
            raise Unanswered(error.message, remedy) from None
        except ServiceUnreachable as error:
            raise Unanswered(error.message.rstrip("."), DOWN) from None
        except LroError as error:
            raise Unanswered(error.message, PASSED_ON) from None

    def rest(self, seconds: float) -> Steps[bool]:
        """Sleep; False where the time is up."""
        try:
            yield from pause(seconds, self.settings, self.deadline)
        except DeadlinePassed:
            return False
        return True

    def delay(self, answer: Answer) -> float:
        """When a monitor wants to be asked again, in seconds."""
        wanted = retry_after(answer.headers, self.settings.clock.now())
        return self.settings.pace.first if wanted is None else max(wanted, 0.05)

    def ok(self, check: str, message: str) -> None:
        self._add(Finding(check, Outcome.OK, message))

    def skip(self, check: str, message: str) -> None:
        self._add(Finding(check, Outcome.SKIPPED, message))

    def problem(self, check: str, message: str, remedy: Remedy) -> None:
        self._add(Finding(check, Outcome.PROBLEM, message, remedy))

    def unlike(self, check: str, answer: Answer, hoped: str, remedy: Remedy | None = None) -> None:
        """An answer that is not the one that was hoped for."""
        asked = f"{answer.method} {without_query(answer.url)}"
        self.problem(check, f"{asked} was answered {in_words(answer)}, not {hoped}", remedy or remedy_of(answer))

    def _add(self, finding: Finding) -> None:
        self.findings.append(finding)
        self.report(finding)
