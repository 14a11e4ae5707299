"""azure-core pipelines as senders: what goes to a trusted origin goes through one, everything else through another.

The second pipeline has no credential and none of the caller's policies, so nothing can leak by mistake. Neither has
azure-core's redirect and retry policies: redirects are not followed, and retries belong to `lro_client.exchange`, which
can be interrupted, knows the caller's deadline, and reads any `Retry-After`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from azure.core.credentials import AzureKeyCredential, TokenCredential
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError
from azure.core.pipeline.policies import (
    AsyncBearerTokenCredentialPolicy,
    AzureKeyCredentialPolicy,
    BearerTokenCredentialPolicy,
    DistributedTracingPolicy,
    HttpLoggingPolicy,
    UserAgentPolicy,
)
from azure.core.rest import HttpRequest

from lro_client.clock import Clock
from lro_client.errors import AnswerTooLarge, CredentialUnavailable, LroError
from lro_client.messages import Answer, Headers, Request
from lro_client.model import Limits
from lro_client.steps import Lost
from lro_client.urls import is_loopback, without_query

_QUERY = re.compile(r"\?[^\s'\")]+")
# By name, so that neither library is imported for it. azure-core's ServiceRequestError does not tell: with aiohttp it
# also stands for a connection that was closed after the request was sent.
_NEVER_SENT = frozenset(
    {
        "ClientConnectorCertificateError",
        "ClientConnectorDNSError",
        "ClientConnectorError",
        "ClientConnectorSSLError",
        "ClientProxyConnectionError",
        "ConnectTimeout",
        "ConnectTimeoutError",
        "ConnectionTimeoutError",
        "NameResolutionError",
        "NewConnectionError",
    }
)
_IN_WORDS = (
    ({"ConnectionRefusedError"}, "the connection was refused"),
    ({"ClientConnectorDNSError", "NameResolutionError", "gaierror"}, "its name could not be resolved"),
    ({"SSLCertVerificationError", "SSLEOFError", "SSLError"}, "no secure connection could be made"),
    ({"ConnectTimeout", "ConnectTimeoutError", "ConnectionTimeoutError", "TimeoutError"}, "no connection came in time"),
)
"""What kept a request from being sent, by names as well."""
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"})
"""OpenSSL's reasons where the other side has answered in something else than TLS."""
VERSION = "0.1.0"
"""That of the package; a test holds it to `pyproject.toml`."""
USER_AGENT = f"lro-client/{VERSION}"
Credential = TokenCredential | AsyncTokenCredential | AzureKeyCredential


@dataclass(frozen=True, slots=True)
class SenderOptions:
    """Who asks, what else the requests go through, and how much may come back: what both senders need."""

    credential: Credential | None
    scopes: Sequence[str]
    key_header: str
    policies: Sequence[Any]
    transport: Any
    """An azure-core transport; None for the usual one."""
    limits: Limits
    clock: Clock

    def pipeline(self, *, is_async: bool) -> list[Any]:
        """The policies of requests to trusted origins, first to last.

        Raises:
            ValueError: a token credential without a scope to ask a token for.
        """
        return policies(*self.policies, *self._authentication(is_async))

    def of(self, request: Request, timeout: float) -> dict[str, Any]:
        """What the transport is told of one request. Credentials go over https, or over http to this machine.

        Raises:
            CredentialUnavailable: its URL is neither, and it would carry one.
        """
        is_here = is_loopback(request.url)
        carries = self.credential is not None and request.trusted
        if carries and not request.url.lower().startswith("https:") and not is_here:
            raise CredentialUnavailable(f"No credential is sent to {without_query(request.url)}: it is http.")
        options: dict[str, Any] = {
            "connection_timeout": min(timeout, self.limits.connect_seconds),
            "read_timeout": timeout,
        }
        if carries and not isinstance(self.credential, AzureKeyCredential):
            options["enforce_https"] = not is_here
        return options

    def _authentication(self, is_async: bool) -> list[Any]:
        if self.credential is None:
            return []
        if isinstance(self.credential, AzureKeyCredential):
            return [AzureKeyCredentialPolicy(self.credential, self.key_header)]
        if not self.scopes:
            raise ValueError("a token credential needs scopes, such as 'https://management.azure.com/.default'")
        kind: Any = AsyncBearerTokenCredentialPolicy if is_async else BearerTokenCredentialPolicy
        return [kind(self.credential, *self.scopes)]


def policies(*more: Any) -> list[Any]:
    """A pipeline's policies; without `more`, neither a credential nor any of the caller's, those for everybody else."""
    return [UserAgentPolicy(USER_AGENT), *more, DistributedTracingPolicy(), HttpLoggingPolicy()]


def outgoing(request: Request) -> HttpRequest:
    """The request in azure-core's words."""
    return HttpRequest(request.method, request.url, headers=dict(request.headers), content=request.body)


class Body:
    """Collects the body of a response of azure-core, and stops where the limits are passed."""

    def __init__(self, request: Request, response: Any, limits: Limits) -> None:
        self._request = request
        self._response = response
        self._limits = limits
        self._parts: list[bytes] = []
        self._size = 0
        self.headers = Headers(response.headers)
        header_bytes = sum(len(name) + len(value) + 4 for name, value in self.headers.items())
        if header_bytes > limits.header_bytes:
            raise self._too_large(f"{header_bytes} bytes of headers")

    def add(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > self._limits.body_bytes:
            raise self._too_large(f"more than {self._limits.body_bytes} bytes")
        self._parts.append(part)

    def answer(self) -> Answer:
        request = self._request
        return Answer(request.method, request.url, self._response.status_code, self.headers, b"".join(self._parts))

    def _too_large(self, what: str) -> AnswerTooLarge:
        answer = Answer(self._request.method, self._request.url, self._response.status_code, self.headers)
        return AnswerTooLarge(f"{without_query(self._request.url)} answered with {what}.", answer=answer)


def lost(error: Exception) -> Lost | LroError:
    """What a failure below the pipeline means; the boundaries of both senders go through here."""
    if isinstance(error, LroError | Lost):
        return error
    if isinstance(error, ClientAuthenticationError):
        return CredentialUnavailable(f"The credential gave no token: {error.message}")
    causes = {type(cause).__name__: cause for cause in _causes(error)}
    was_sent = _NEVER_SENT.isdisjoint(causes)
    return Lost((None if was_sent else _in_words(causes)) or _description(error), was_sent=was_sent)


def _in_words(causes: Mapping[str, BaseException]) -> str | None:
    """Why there was no connection; of TLS, what it found; and whether it was the proxy's."""
    words = next((words for names, words in _IN_WORDS if not names.isdisjoint(causes)), None)
    found = [getattr(cause, name, None) for name in ("verify_message", "reason") for cause in causes.values()]
    tail = next((f": {text}" for text in found if isinstance(text, str)), "")
    if not _NO_TLS.isdisjoint(found):
        tail += "; perhaps it speaks http, and not https"
    proxy = "the proxy: " if not {"ClientProxyConnectionError", "ProxyError"}.isdisjoint(causes) else ""
    return words and proxy + words + tail


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it says it comes from, in the three ways that the libraries below have."""
    found: list[Any] = [error]
    seen: set[int] = set()
    while found:
        cause = found.pop()
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            found += [cause.__cause__, getattr(cause, "inner_exception", None), getattr(cause, "reason", None)]
            found += cause.args


def _description(error: Exception) -> str:
    text = error.message if isinstance(error, AzureError) else str(error)
    # The libraries below quote whole URLs, and a query can hold a key.
    return f"{type(error).__name__}: {_QUERY.sub('?...', text)[:500]}"
