"""Clients for any service, blocking and asynchronous. Both have the steps of one base, and a driver that runs them."""

from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Generic, Self, TypedDict, TypeVar, Unpack

from azure.core.credentials import AzureKeyCredential, TokenCredential
from azure.core.credentials_async import AsyncTokenCredential

from lro_client.async_sender import AsyncPipelineSender
from lro_client.cancellation import CancellationToken
from lro_client.clock import Clock
from lro_client.exchange import Settings
from lro_client.messages import Answer, Headers
from lro_client.model import Limits, Profile
from lro_client.operation import AsyncOperation, Operation, OperationState, WaitOptions
from lro_client.pacing import Pace, Retries
from lro_client.pipelines import SenderOptions
from lro_client.starting import Starter, StartOptions
from lro_client.steps import Steps, awaited, blocking, drive, drive_async
from lro_client.sync_sender import PipelineSender
from lro_client.tracker import Tracker
from lro_client.values import T

KEY_HEADER = "x-functions-key"
C = TypeVar("C", TokenCredential, AsyncTokenCredential)


class ClientOptions(TypedDict, total=False):
    """What every client takes.

    `scopes`: what a token credential is asked for. `key_header`: where a key credential goes (`x-functions-key`).
    `headers`: go with every request to the service. `allowed_origins`: get credentials and headers too, beside the
    endpoint. `limits`, `pace`, `retries`: see there. `policies`: more azure-core policies. `transport`: an azure-core
    transport instead of the usual one. `clock`: where time comes from, for tests. `settings` replaces all that becomes
    settings, clock and chance included; for tests.
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
    clock: Clock
    settings: Settings


class RunOptions(StartOptions, WaitOptions, total=False):
    """A start and a wait at once."""


class StartWithin(StartOptions, total=False):
    """A start, how long it may take in seconds, and what stops the wait for its answer."""

    timeout: float | None
    cancellation: CancellationToken | None


class ClientSteps(Generic[C]):
    """What both kinds of client share: their options, and the steps that need no class of operations.

    `endpoint` is what paths are below, and whose origin may see the credential; without it, every start's own is. The
    profile is read off the headers unless it is given. `api_version` is added to URLs that have none.
    """

    profile = Profile.AUTO
    _senders: ClassVar[type[PipelineSender] | type[AsyncPipelineSender]]

    def __init__(
        self,
        endpoint: str | None = None,
        credential: C | AzureKeyCredential | None = None,
        *,
        profile: Profile | None = None,
        api_version: str | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        settings = options.get("settings") or Settings(
            headers=Headers(options.get("headers", {})),
            allowed_origins=tuple(options.get("allowed_origins", ())),
            limits=options.get("limits", Limits()),
            pace=options.get("pace", Pace()),
            retries=options.get("retries", Retries()),
            clock=options.get("clock") or Clock(),
        )
        self._starter = Starter(endpoint, profile or self.profile, settings, api_version)
        self._sender: Any = self._senders(
            SenderOptions(
                credential=credential,
                scopes=options.get("scopes", ()),
                key_header=options.get("key_header", KEY_HEADER),
                policies=options.get("policies", ()),
                transport=options.get("transport"),
                limits=settings.limits,
                clock=settings.clock,
            )
        )

    def _started(
        self, method: str, path: str, options: StartOptions, deadline: float | None
    ) -> Steps[tuple[Tracker, Answer]]:
        """A start as the profile has it."""
        return self._starter.start(method, path, options, deadline)

    def _run(self, method: str, path: str, *, result: type[T] | None = None, **options: Unpack[RunOptions]) -> Steps[T]:
        """Start an operation, wait for its end and return its result; `timeout` is for all of it.

        Raises:
            As `start` and `Operation.wait`.
        """
        deadline = self._deadline(options.get("timeout"))
        tracker, _ = yield from self._started(method, path, options, deadline)
        operation = OperationState[T](tracker, self._sender, result)
        return (yield from operation.finish(deadline, options.get("interval"), options))

    def _deadline(self, timeout: float | None) -> float | None:
        return self._starter.settings.deadline(timeout)


class LroClient(ClientSteps[TokenCredential]):
    """Starts and follows long-running operations, blocking.

    `endpoint` is what paths are below, and whose origin may see the credential; without it, every start's own is. The
    profile is read off the headers unless it is given. `api_version` is added to URLs that have none.
    """

    _senders = PipelineSender
    run = blocking(ClientSteps[TokenCredential]._run)

    def start(
        self, method: str, path: str, *, result: type[T] | None = None, **options: Unpack[StartWithin]
    ) -> Operation[T]:
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
        steps = self._started(method, path, options, self._deadline(options.get("timeout")))
        tracker, _ = drive(steps, self._sender, options.get("cancellation"))
        return Operation(tracker, self._sender, result)

    def open(self, monitor_url: str, *, result: type[T] | None = None) -> Operation[T]:
        """An operation that somebody else has started, by its monitor's URL. Nothing is asked yet.

        What a PUT has made is not fetched: that takes the start's URL, which a token has.
        """
        return Operation(self._starter.open(monitor_url), self._sender, result)

    def resume(self, token: str, *, result: type[T] | None = None) -> Operation[T]:
        """The operation of a token: `Operation.token()`, or .NET's `RehydrationToken` as JSON. Nothing is asked yet.

        Raises:
            UnknownTokenVersion, ForeignToken, TamperedToken: as they say.
        """
        return Operation(self._starter.resume(token), self._sender, result)

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
        for steps in self._starter.pages(path, filter, top, timeout):
            yield from drive(steps, self._sender, cancellation)

    def close(self) -> None:
        self._sender.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()


class AsyncLroClient(ClientSteps[AsyncTokenCredential]):
    """As `LroClient`, on an event loop. Needs `aiohttp` (`lro-client[aio]`), or a transport of your own."""

    _senders = AsyncPipelineSender
    run = awaited(ClientSteps[AsyncTokenCredential]._run)

    async def start(
        self, method: str, path: str, *, result: type[T] | None = None, **options: Unpack[StartWithin]
    ) -> AsyncOperation[T]:
        """As `LroClient.start`."""
        steps = self._started(method, path, options, self._deadline(options.get("timeout")))
        tracker, _ = await drive_async(steps, self._sender, options.get("cancellation"))
        return AsyncOperation(tracker, self._sender, result)

    def open(self, monitor_url: str, *, result: type[T] | None = None) -> AsyncOperation[T]:
        """As `LroClient.open`."""
        return AsyncOperation(self._starter.open(monitor_url), self._sender, result)

    def resume(self, token: str, *, result: type[T] | None = None) -> AsyncOperation[T]:
        """As `LroClient.resume`."""
        return AsyncOperation(self._starter.resume(token), self._sender, result)

    async def operations(
        self,
        path: str,
        *,
        filter: str | None = None,
        top: int | None = None,
        timeout: float | None = None,
        cancellation: CancellationToken | None = None,
    ) -> AsyncIterator[dict[str, Any]]:
        """As `LroClient.operations`."""
        for steps in self._starter.pages(path, filter, top, timeout):
            for item in await drive_async(steps, self._sender, cancellation):
                yield item

    async def close(self) -> None:
        await self._sender.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self.close()
