"""azure-core pipelines as senders: what goes to a trusted origin goes through one, everything else through another.

The second pipeline has no credential and none of the caller's policies, so nothing can leak by mistake. Neither has
azure-core's redirect and retry policies: redirects are not followed, and retries belong to `lro_client.exchange`, which
can be interrupted, knows the caller's deadline, and reads any `Retry-After`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

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
VERSION = "1.0.0"
"""That of the package; a test holds it to `pyproject.toml`."""
USER_AGENT = f"lro-client/{VERSION}"
Credential = TokenCredential | AsyncTokenCredential | AzureKeyCredential


@runtime_checkable
class ResponseHead(Protocol):
    """What blocking and asynchronous responses have in common before their bodies are read."""

    @property
    def status_code(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...


def policies_for(extra: Sequence[Any], authentication: Sequence[Any]) -> list[Any]:
    """The policies of a pipeline, first to last."""
    return [UserAgentPolicy(USER_AGENT), *extra, *authentication, DistributedTracingPolicy(), HttpLoggingPolicy()]


def authentication_for(
    credential: Credential | None, scopes: Sequence[str], key_header: str, *, is_async: bool
) -> list[Any]:
    """The policy that adds the credential, if there is one.

    Raises:
        ValueError: a token credential without a scope to ask a token for, or of the other kind.
    """
    if credential is None:
        return []
    if isinstance(credential, AzureKeyCredential):
        return [AzureKeyCredentialPolicy(credential, key_header)]
    if not scopes:
        raise ValueError("a token credential needs scopes, such as 'https://management.azure.com/.default'")
    kind: Any = AsyncBearerTokenCredentialPolicy if is_async else BearerTokenCredentialPolicy
    return [kind(credential, *scopes)]


def check_carrier(url: str, has_credential: bool) -> None:
    """Credentials go over https, or over http to this machine.

    Raises:
        CredentialUnavailable: this URL is neither.
    """
    if has_credential and not url.lower().startswith("https:") and not is_loopback(url):
        raise CredentialUnavailable(f"No credential is sent to {without_query(url)}: it is http.")


def outgoing(request: Request) -> HttpRequest:
    """The request in azure-core's words."""
    return HttpRequest(request.method, request.url, headers=dict(request.headers), content=request.body)


def options_for(url: str, timeout: float, limits: Limits, *, bears_token: bool) -> dict[str, Any]:
    """What the transport is told. A bearer token over http reaches this machine only: see `check_carrier`."""
    options: dict[str, Any] = {
        "connection_timeout": min(timeout, limits.connect_seconds),
        "read_timeout": timeout,
    }
    if bears_token:
        options["enforce_https"] = not is_loopback(url)
    return options


class Body:
    """Collects a body, and stops where the limits are passed."""

    def __init__(self, request: Request, head: ResponseHead, limits: Limits) -> None:
        self._request = request
        self._head = head
        self._limits = limits
        self._parts: list[bytes] = []
        self._size = 0
        self.headers = Headers(head.headers)
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
        return Answer(request.method, request.url, self._head.status_code, self.headers, b"".join(self._parts))

    def _too_large(self, what: str) -> AnswerTooLarge:
        answer = Answer(self._request.method, self._request.url, self._head.status_code, self.headers)
        return AnswerTooLarge(f"{without_query(self._request.url)} answered with {what}.", answer=answer)


def lost(error: Exception) -> Lost | LroError:
    """What a failure below the pipeline means; the borders of both senders go through here."""
    if isinstance(error, LroError | Lost):
        return error
    if isinstance(error, ClientAuthenticationError):
        return CredentialUnavailable(f"The credential gave no token: {error.message}")
    return Lost(_told(error), was_sent=not any(type(cause).__name__ in _NEVER_SENT for cause in _causes(error)))


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


def _told(error: Exception) -> str:
    text = error.message if isinstance(error, AzureError) else str(error)
    # The libraries below quote whole URLs, and a query can hold a key.
    return f"{type(error).__name__}: {_QUERY.sub('?...', text)[:500]}"
