"""A client for any service, on an event loop; see `lro_client.client`."""

from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack, overload

from azure.core.credentials import AzureKeyCredential
from azure.core.credentials_async import AsyncTokenCredential

from lro_client.async_sender import AsyncSender
from lro_client.cancellation import CancellationToken
from lro_client.client import KEY_HEADER, ClientOptions, RunOptions, StartWithin, deadline_of, settings_of, wait_options
from lro_client.model import Profile
from lro_client.operation import AsyncOperation
from lro_client.starting import Starter, items_of
from lro_client.steps import drive_async

T = TypeVar("T")


class AsyncLroClient:
    """As `LroClient`, on an event loop. Needs `aiohttp` (`lro-client[aio]`), or a transport of your own."""

    profile = Profile.AUTO

    def __init__(
        self,
        endpoint: str | None = None,
        credential: AsyncTokenCredential | AzureKeyCredential | None = None,
        *,
        profile: Profile | None = None,
        api_version: str | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        settings = settings_of(options)
        self._starter = Starter(endpoint, profile or self.profile, settings, api_version)
        self._sender = AsyncSender(
            credential=credential,
            scopes=options.get("scopes", ()),
            key_header=options.get("key_header", KEY_HEADER),
            policies=options.get("policies", ()),
            transport=options.get("transport"),
            limits=settings.limits,
        )

    @overload
    async def start(
        self, method: str, path: str, *, result: type[T], **options: Unpack[StartWithin]
    ) -> AsyncOperation[T]: ...

    @overload
    async def start(
        self, method: str, path: str, *, result: None = None, **options: Unpack[StartWithin]
    ) -> AsyncOperation[Any]: ...

    async def start(
        self, method: str, path: str, *, result: Any = None, **options: Unpack[StartWithin]
    ) -> AsyncOperation[Any]:
        """As `LroClient.start`."""
        steps = self._starter.start(method, path, options, self._deadline(options))
        tracker, _ = await drive_async(steps, self._sender, options.get("cancellation"))
        return self._operation(tracker, result)

    @overload
    async def run(self, method: str, path: str, *, result: type[T], **options: Unpack[RunOptions]) -> T: ...

    @overload
    async def run(self, method: str, path: str, *, result: None = None, **options: Unpack[RunOptions]) -> Any: ...

    async def run(self, method: str, path: str, *, result: Any = None, **options: Unpack[RunOptions]) -> Any:
        """As `LroClient.run`."""
        deadline = self._deadline(options)
        steps = self._starter.start(method, path, options, deadline)
        tracker, _ = await drive_async(steps, self._sender, options.get("cancellation"))
        return await self._operation(tracker, result).wait(**wait_options(options, tracker.settings, deadline))

    @overload
    def open(self, monitor_url: str, *, result: type[T]) -> AsyncOperation[T]: ...

    @overload
    def open(self, monitor_url: str, *, result: None = None) -> AsyncOperation[Any]: ...

    def open(self, monitor_url: str, *, result: Any = None) -> AsyncOperation[Any]:
        """As `LroClient.open`."""
        return self._operation(self._starter.open(monitor_url), result)

    @overload
    def resume(self, token: str, *, result: type[T]) -> AsyncOperation[T]: ...

    @overload
    def resume(self, token: str, *, result: None = None) -> AsyncOperation[Any]: ...

    def resume(self, token: str, *, result: Any = None) -> AsyncOperation[Any]:
        """As `LroClient.resume`."""
        return self._operation(self._starter.resume(token), result)

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
        url: str | None = self._starter.url(path, filter=filter, top=None if top is None else str(top))
        deadline = self._deadline({"timeout": timeout})
        read: set[str] = set()
        while url is not None:
            page = await drive_async(self._starter.page(url, deadline), self._sender, cancellation)
            for item in items_of(page):
                yield item
            url = self._starter.next_page(url, page, read)

    async def close(self) -> None:
        await self._sender.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _operation(self, tracker: Any, result: Any) -> AsyncOperation[Any]:
        return AsyncOperation(tracker, self._sender, result)

    def _deadline(self, options: Mapping[str, Any]) -> float | None:
        return deadline_of(options, self._starter.settings)
