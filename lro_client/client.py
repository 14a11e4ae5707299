"""A client for any service, blocking."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypedDict, TypeVar, Unpack, overload

from azure.core.credentials import AzureKeyCredential, TokenCredential

from lro_client.cancellation import CancellationToken
from lro_client.exchange import Settings
from lro_client.messages import Headers
from lro_client.model import Limits, Profile
from lro_client.operation import Operation
from lro_client.operation_state import WaitOptions
from lro_client.pacing import Pace, Retries
from lro_client.starting import Starter, StartOptions, items_of
from lro_client.steps import drive
from lro_client.sync_sender import SyncSender

T = TypeVar("T")


class ClientOptions(TypedDict, total=False):
    """What every client takes.

    `scopes`: what a token credential is asked for. `key_header`: where a key credential goes (`x-functions-key`).
    `headers`: go with every request to the service. `allowed_origins`: get credentials and headers too, beside the
    endpoint. `limits`, `pace`, `retries`: see there. `policies`: more azure-core policies. `transport`: an azure-core
    transport instead of the usual one. `settings` replaces all that becomes settings, clock and chance included; for
    tests.
    """

    scopes: Sequence[str]
    key_header: str
    headers: Mapping[str, str]
    allowed_origins: Collection[str]
    limits: Limits
    pace: Pace
    retries: Retries
    policies: Sequence[Any]
    transport: Any
    settings: Settings


class RunOptions(StartOptions, WaitOptions, total=False):
    """A start and a wait at once."""


class StartWithin(StartOptions, total=False):
    """A start, how long it may take in seconds, and what stops the wait for its answer."""

    timeout: float | None
    cancellation: CancellationToken | None


KEY_HEADER = "x-functions-key"


def settings_of(options: ClientOptions) -> Settings:
    """The settings among a client's options."""
    return options.get("settings") or Settings(
        headers=Headers(options.get("headers", {})),
        allowed_origins=tuple(options.get("allowed_origins", ())),
        limits=options.get("limits", Limits()),
        pace=options.get("pace", Pace()),
        retries=options.get("retries", Retries()),
    )


class LroClient:
    """Starts and follows long-running operations, blocking.

    `endpoint` is what paths are below, and whose origin may see the credential; without it, every start's own is. The
    profile is read off the headers unless it is given. `api_version` is added to URLs that have none.
    """

    profile = Profile.AUTO

    def __init__(
        self,
        endpoint: str | None = None,
        credential: TokenCredential | AzureKeyCredential | None = None,
        *,
        profile: Profile | None = None,
        api_version: str | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        settings = settings_of(options)
        self._starter = Starter(endpoint, profile or self.profile, settings, api_version)
        self._sender = SyncSender(
            credential=credential,
            scopes=options.get("scopes", ()),
            key_header=options.get("key_header", KEY_HEADER),
            policies=options.get("policies", ()),
            transport=options.get("transport"),
            limits=settings.limits,
        )

    @overload
    def start(self, method: str, path: str, *, result: type[T], **options: Unpack[StartWithin]) -> Operation[T]: ...

    @overload
    def start(
        self, method: str, path: str, *, result: None = None, **options: Unpack[StartWithin]
    ) -> Operation[Any]: ...

    def start(self, method: str, path: str, *, result: Any = None, **options: Unpack[StartWithin]) -> Operation[Any]:
        """Start an operation and return as soon as the service has accepted it.

        `path` is below the endpoint, or an absolute URL. `result` is the type of the value: a pydantic model or
        anything else that pydantic reads from JSON; plain JSON without it.

        Raises:
            InvalidRequest: it cannot be sent.
            StartRefused: nothing runs.
            WaitCanceled: the token was used; the service may have taken it all the same.
            ServiceUnreachable: no answer; the message says whether the service may have taken it all the same.
            UnexpectedAnswer, UnsafeUrl: it runs, but the service does not say where it can be watched.
        """
        steps = self._starter.start(method, path, options, self._deadline(options))
        tracker, _ = drive(steps, self._sender, options.get("cancellation"))
        return self._operation(tracker, result)

    @overload
    def run(self, method: str, path: str, *, result: type[T], **options: Unpack[RunOptions]) -> T: ...

    @overload
    def run(self, method: str, path: str, *, result: None = None, **options: Unpack[RunOptions]) -> Any: ...

    def run(self, method: str, path: str, *, result: Any = None, **options: Unpack[RunOptions]) -> Any:
        """Start an operation, wait for its end and return its result; `timeout` is for all of it.

        Raises:
            As `start` and `Operation.wait`.
        """
        deadline = self._deadline(options)
        steps = self._starter.start(method, path, options, deadline)
        tracker, _ = drive(steps, self._sender, options.get("cancellation"))
        return self._operation(tracker, result).wait(**wait_options(options, tracker.settings, deadline))

    @overload
    def open(self, monitor_url: str, *, result: type[T]) -> Operation[T]: ...

    @overload
    def open(self, monitor_url: str, *, result: None = None) -> Operation[Any]: ...

    def open(self, monitor_url: str, *, result: Any = None) -> Operation[Any]:
        """An operation that somebody else has started, by its monitor's URL. Nothing is asked yet.

        What a PUT has made is not fetched: that takes the start's URL, which a token has.
        """
        return self._operation(self._starter.open(monitor_url), result)

    @overload
    def resume(self, token: str, *, result: type[T]) -> Operation[T]: ...

    @overload
    def resume(self, token: str, *, result: None = None) -> Operation[Any]: ...

    def resume(self, token: str, *, result: Any = None) -> Operation[Any]:
        """The operation of a token: `Operation.token()`, or .NET's `RehydrationToken` as JSON. Nothing is asked yet.

        Raises:
            UnknownTokenVersion, ForeignToken, TamperedToken: as they say.
        """
        return self._operation(self._starter.resume(token), result)

    def operations(
        self,
        path: str,
        *,
        filter: str | None = None,
        top: int | None = None,
        timeout: float | None = None,
        cancellation: CancellationToken | None = None,
    ) -> Iterator[dict[str, Any]]:
        """The status monitors that a service lists, every page followed.

        Source: Azure REST API Guidelines, "Pattern to List Status Monitors".

        Raises:
            StartRefused, ServiceUnreachable, UnexpectedAnswer: a page could not be had.
            WaitCanceled: the token was used.
        """
        url: str | None = self._starter.url(path, filter=filter, top=None if top is None else str(top))
        deadline = self._deadline({"timeout": timeout})
        read: set[str] = set()
        while url is not None:
            page = drive(self._starter.page(url, deadline), self._sender, cancellation)
            yield from items_of(page)
            url = self._starter.next_page(url, page, read)

    def close(self) -> None:
        self._sender.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _operation(self, tracker: Any, result: Any) -> Operation[Any]:
        return Operation(tracker, self._sender, result)

    def _deadline(self, options: Mapping[str, Any]) -> float | None:
        return deadline_of(options, self._starter.settings)


def deadline_of(options: Mapping[str, Any], settings: Settings) -> float | None:
    """The moment a `timeout` in the options ends at, on the settings' clock."""
    timeout: float | None = options.get("timeout")
    return None if timeout is None else settings.clock() + timeout


def wait_options(options: RunOptions, settings: Settings, deadline: float | None) -> WaitOptions:
    """What is left to wait with once the start is answered."""
    waits: WaitOptions = {"timeout": None if deadline is None else max(0.0, deadline - settings.clock())}
    if "interval" in options:
        waits["interval"] = options["interval"]
    if "on_progress" in options:
        waits["on_progress"] = options["on_progress"]
    if "cancellation" in options:
        waits["cancellation"] = options["cancellation"]
    if "cancel_operation" in options:
        waits["cancel_operation"] = options["cancel_operation"]
    return waits
