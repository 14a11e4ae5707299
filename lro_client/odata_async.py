"""The client for OData 4 services on an event loop; see `lro_client.odata`."""

from typing import Any, Literal, TypeVar, Unpack, overload

from azure.core.credentials import AzureKeyCredential
from azure.core.credentials_async import AsyncTokenCredential

from lro_client.cancellation import CancellationToken
from lro_client.client import ClientOptions, deadline_of
from lro_client.client_async import AsyncLroClient
from lro_client.model import Profile
from lro_client.odata import MOST_INTERIM, batch_payload
from lro_client.odata_batch import Batch, BatchResponse, read_batch
from lro_client.odata_state import (
    CallOptions,
    CallResult,
    ODataWords,
    WaitedCall,
    preferring_async,
    versioned,
)
from lro_client.operation import AsyncOperation
from lro_client.starting import StartOptions
from lro_client.steps import drive_async
from lro_client.urls import resolve
from lro_client.values import Reader

T = TypeVar("T")


class AsyncODataOperation(ODataWords[T], AsyncOperation[T]):
    """As `ODataOperation`, on an event loop."""

    async def poll(self, *, timeout: float | None = None, cancellation: CancellationToken | None = None) -> bool:
        """Look once; True while it still runs."""
        await self.update_status(timeout=timeout, cancellation=cancellation)
        return not self.has_completed

    async def wait_for_completion(
        self,
        *,
        poll_interval: float | None = None,
        timeout: float | None = None,
        cancellation: CancellationToken | None = None,
        cancel_operation: bool = False,
    ) -> T:
        """As `wait`."""
        return await self.wait(
            interval=self._interval if poll_interval is None else poll_interval,
            timeout=timeout,
            cancellation=cancellation,
            cancel_operation=cancel_operation,
        )


class AsyncODataClient(AsyncLroClient):
    """As `ODataClient`, on an event loop."""

    profile = Profile.ODATA

    def __init__(
        self,
        endpoint: str,
        credential: AsyncTokenCredential | AzureKeyCredential | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        options["headers"] = versioned(options.get("headers"))
        super().__init__(endpoint, credential, **options)

    @overload
    async def call_action(
        self, name: str, parameters: Any = None, *, result: type[T], **options: Unpack[CallOptions]
    ) -> CallResult[T, AsyncODataOperation[T]]: ...

    @overload
    async def call_action(
        self, name: str, parameters: Any = None, *, result: None = None, **options: Unpack[CallOptions]
    ) -> CallResult[Any, AsyncODataOperation[Any]]: ...

    async def call_action(
        self, name: str, parameters: Any = None, *, result: Any = None, **options: Unpack[CallOptions]
    ) -> CallResult[Any, AsyncODataOperation[Any]]:
        """As `ODataClient.call_action`."""
        return await self.request("POST", name, {} if parameters is None else parameters, result=result, **options)

    @overload
    async def call_and_wait(
        self, name: str, parameters: Any = None, *, result: type[T], **options: Unpack[WaitedCall]
    ) -> T: ...

    @overload
    async def call_and_wait(
        self, name: str, parameters: Any = None, *, result: None = None, **options: Unpack[WaitedCall]
    ) -> Any: ...

    async def call_and_wait(
        self, name: str, parameters: Any = None, *, result: Any = None, **options: Unpack[WaitedCall]
    ) -> Any:
        """As `ODataClient.call_and_wait`."""
        deadline = deadline_of(options, self._starter.settings)
        sent: StartOptions = {"json": {} if parameters is None else parameters}
        called = await self._call("POST", name, sent, result, options)
        return await self._result(called, options, deadline)

    async def request(
        self, method: str, path: str, body: Any = None, *, result: Any = None, **options: Unpack[CallOptions]
    ) -> CallResult[Any, AsyncODataOperation[Any]]:
        """As `ODataClient.request`."""
        return await self._call(method, path, {} if body is None else {"json": body}, result, options)

    async def execute_batch(
        self, batch: Batch, *, format: Literal["json", "multipart"] = "json", **options: Unpack[CallOptions]
    ) -> CallResult[BatchResponse, AsyncODataOperation[BatchResponse]]:
        """As `ODataClient.execute_batch`."""
        return await self._call("POST", "$batch", batch_payload(batch, format, options), Reader(read_batch), options)

    async def execute_batch_and_wait(
        self, batch: Batch, *, format: Literal["json", "multipart"] = "json", **options: Unpack[WaitedCall]
    ) -> BatchResponse:
        """As `ODataClient.execute_batch_and_wait`."""
        deadline = deadline_of(options, self._starter.settings)
        called = await self._call("POST", "$batch", batch_payload(batch, format, options), Reader(read_batch), options)
        return await self._rest(await self._result(called, options, deadline), options, deadline)

    async def rest_of_batch(self, response: BatchResponse, **options: Unpack[WaitedCall]) -> BatchResponse:
        """As `ODataClient.rest_of_batch`."""
        return await self._rest(response, options, deadline_of(options, self._starter.settings))

    async def _rest(self, response: BatchResponse, options: WaitedCall, deadline: float | None) -> BatchResponse:
        for _ in range(MOST_INTERIM):
            if response.next_url is None:
                break
            link = resolve(self._starter.url("$batch"), response.next_url)
            more = await self._call("GET", link, {}, Reader(read_batch), options)
            response = response.joined(await self._result(more, options, deadline))
        return response

    async def _call(
        self, method: str, path: str, sent: StartOptions, result: Any, options: CallOptions | WaitedCall
    ) -> CallResult[Any, AsyncODataOperation[Any]]:
        sent["headers"] = preferring_async(options) | dict(sent.get("headers") or {})
        steps = self._starter.start(method, path, sent, self._deadline(options))
        tracker, answer = await drive_async(steps, self._sender, options.get("cancellation"))
        operation = AsyncODataOperation[Any](tracker, self._sender, result, options.get("poll_interval"))
        return CallResult(operation, lambda: operation.value, is_async=answer.status_code == 202)

    async def _result(
        self, called: CallResult[Any, AsyncODataOperation[Any]], options: WaitedCall, deadline: float | None
    ) -> Any:
        if not called.is_async:
            return called.synchronous_result
        return await called.operation.wait(
            timeout=None if deadline is None else max(0.0, deadline - self._starter.settings.clock()),
            interval=options.get("poll_interval"),
            cancellation=options.get("cancellation"),
            cancel_operation=options.get("cancel_operation", False),
        )

    def _operation(self, tracker: Any, result: Any) -> AsyncODataOperation[Any]:
        return AsyncODataOperation(tracker, self._sender, result)

    @overload
    def open(self, monitor_url: str, *, result: type[T]) -> AsyncODataOperation[T]: ...

    @overload
    def open(self, monitor_url: str, *, result: None = None) -> AsyncODataOperation[Any]: ...

    def open(self, monitor_url: str, *, result: Any = None) -> AsyncODataOperation[Any]:
        """As `LroClient.open`."""
        return self._operation(self._starter.open(monitor_url), result)

    @overload
    def resume(self, token: str, *, result: type[T]) -> AsyncODataOperation[T]: ...

    @overload
    def resume(self, token: str, *, result: None = None) -> AsyncODataOperation[Any]: ...

    def resume(self, token: str, *, result: Any = None) -> AsyncODataOperation[Any]:
        """As `LroClient.resume`."""
        return self._operation(self._starter.resume(token), result)
