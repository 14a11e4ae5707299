"""The client for OData 4 services on an event loop; see `lro_client.odata`."""

from collections.abc import Callable
from typing import Any, TypeVar, Unpack, overload

from azure.core.credentials import AzureKeyCredential
from azure.core.credentials_async import AsyncTokenCredential

from lro_client.cancellation import CancellationToken
from lro_client.client import ClientOptions
from lro_client.client_async import AsyncLroClient
from lro_client.model import Profile, Snapshot
from lro_client.odata_batch import Batch, BatchResponse
from lro_client.odata_calls import BATCH, Call, Format, batch_payload, json_body
from lro_client.odata_state import CallOptions, CallResult, ODataWords, WaitedCall, versioned
from lro_client.operation import AsyncOperation
from lro_client.starting import StartOptions
from lro_client.steps import drive_async

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
        on_progress: Callable[[Snapshot], None] | None = None,
        cancel_operation: bool = False,
    ) -> T:
        """As `wait`."""
        return await self.wait(
            interval=self._interval if poll_interval is None else poll_interval,
            timeout=timeout,
            cancellation=cancellation,
            on_progress=on_progress,
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
        sent = json_body({} if parameters is None else parameters)
        steps = self._caller(options).finish("POST", name, sent, result)
        return await drive_async(steps, self._sender, options.get("cancellation"))

    @overload
    async def request(
        self, method: str, path: str, body: Any = None, *, result: type[T], **options: Unpack[CallOptions]
    ) -> CallResult[T, AsyncODataOperation[T]]: ...

    @overload
    async def request(
        self, method: str, path: str, body: Any = None, *, result: None = None, **options: Unpack[CallOptions]
    ) -> CallResult[Any, AsyncODataOperation[Any]]: ...

    async def request(
        self, method: str, path: str, body: Any = None, *, result: Any = None, **options: Unpack[CallOptions]
    ) -> CallResult[Any, AsyncODataOperation[Any]]:
        """As `ODataClient.request`."""
        return await self._call(method, path, json_body(body), result, options)

    async def execute_batch(
        self, batch: Batch, *, format: Format = "json", **options: Unpack[CallOptions]
    ) -> CallResult[BatchResponse, AsyncODataOperation[BatchResponse]]:
        """As `ODataClient.execute_batch`."""
        return await self._call("POST", "$batch", batch_payload(batch, format, options), BATCH, options)

    async def execute_batch_and_wait(
        self, batch: Batch, *, format: Format = "json", **options: Unpack[WaitedCall]
    ) -> BatchResponse:
        """As `ODataClient.execute_batch_and_wait`."""
        steps = self._caller(options).finish_batch(batch, format)
        return await drive_async(steps, self._sender, options.get("cancellation"))

    async def rest_of_batch(self, response: BatchResponse, **options: Unpack[WaitedCall]) -> BatchResponse:
        """As `ODataClient.rest_of_batch`."""
        steps = self._caller(options).rest_of_batch(response)
        return await drive_async(steps, self._sender, options.get("cancellation"))

    async def _call(
        self, method: str, path: str, sent: StartOptions, result: Any, options: CallOptions
    ) -> CallResult[Any, AsyncODataOperation[Any]]:
        steps = self._caller({**options}).begin(method, path, sent)
        tracker, answer = await drive_async(steps, self._sender, options.get("cancellation"))
        operation = AsyncODataOperation[Any](tracker, self._sender, result, options.get("poll_interval"))
        return CallResult(operation, lambda: operation.value, is_async=answer.status_code == 202)

    def _caller(self, options: WaitedCall) -> Call:
        return Call(self._starter, options, self._deadline(options))

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
