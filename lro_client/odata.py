"""Clients for OData 4 services that answer asynchronously (OData 4.01 Protocol, 8.2.8.8 and 11.6)."""

from collections.abc import Callable
from typing import Any, TypeVar, Unpack, overload

from azure.core.credentials import AzureKeyCredential, TokenCredential

from lro_client.cancellation import CancellationToken
from lro_client.client import ClientOptions, LroClient
from lro_client.model import Profile, Snapshot
from lro_client.odata_batch import Batch, BatchResponse
from lro_client.odata_calls import BATCH, Call, Format, batch_payload, json_body
from lro_client.odata_state import CallOptions, CallResult, ODataWords, WaitedCall, versioned
from lro_client.operation import Operation
from lro_client.starting import StartOptions
from lro_client.steps import drive

T = TypeVar("T")


class ODataOperation(ODataWords[T], Operation[T]):
    """An asynchronous OData request, blocking. Everything of `Operation`, and the words that OData clients use."""

    def poll(self, *, timeout: float | None = None, cancellation: CancellationToken | None = None) -> bool:
        """Look once; True while it still runs."""
        self.update_status(timeout=timeout, cancellation=cancellation)
        return not self.has_completed

    def wait_for_completion(
        self,
        *,
        poll_interval: float | None = None,
        timeout: float | None = None,
        cancellation: CancellationToken | None = None,
        on_progress: Callable[[Snapshot], None] | None = None,
        cancel_operation: bool = False,
    ) -> T:
        """As `wait`."""
        return self.wait(
            interval=self._interval if poll_interval is None else poll_interval,
            timeout=timeout,
            cancellation=cancellation,
            on_progress=on_progress,
            cancel_operation=cancel_operation,
        )


class ODataClient(LroClient):
    """A client of an OData 4 service, blocking. `endpoint` is the service root."""

    profile = Profile.ODATA

    def __init__(
        self,
        endpoint: str,
        credential: TokenCredential | AzureKeyCredential | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        options["headers"] = versioned(options.get("headers"))
        super().__init__(endpoint, credential, **options)

    @overload
    def call_action(
        self, name: str, parameters: Any = None, *, result: type[T], **options: Unpack[CallOptions]
    ) -> CallResult[T, ODataOperation[T]]: ...

    @overload
    def call_action(
        self, name: str, parameters: Any = None, *, result: None = None, **options: Unpack[CallOptions]
    ) -> CallResult[Any, ODataOperation[Any]]: ...

    def call_action(
        self, name: str, parameters: Any = None, *, result: Any = None, **options: Unpack[CallOptions]
    ) -> CallResult[Any, ODataOperation[Any]]:
        """Call an action, preferring an asynchronous answer. `name` is its path below the service root.

        Raises:
            As `LroClient.start`.
        """
        return self.request("POST", name, {} if parameters is None else parameters, result=result, **options)

    @overload
    def call_and_wait(
        self, name: str, parameters: Any = None, *, result: type[T], **options: Unpack[WaitedCall]
    ) -> T: ...

    @overload
    def call_and_wait(
        self, name: str, parameters: Any = None, *, result: None = None, **options: Unpack[WaitedCall]
    ) -> Any: ...

    def call_and_wait(
        self, name: str, parameters: Any = None, *, result: Any = None, **options: Unpack[WaitedCall]
    ) -> Any:
        """Call an action and wait for its result, whichever way the service answers.

        Raises:
            As `LroClient.start` and `Operation.wait`; a time-out says that the operation goes on.
        """
        sent = json_body({} if parameters is None else parameters)
        steps = self._caller(options).finish("POST", name, sent, result)
        return drive(steps, self._sender, options.get("cancellation"))

    @overload
    def request(
        self, method: str, path: str, body: Any = None, *, result: type[T], **options: Unpack[CallOptions]
    ) -> CallResult[T, ODataOperation[T]]: ...

    @overload
    def request(
        self, method: str, path: str, body: Any = None, *, result: None = None, **options: Unpack[CallOptions]
    ) -> CallResult[Any, ODataOperation[Any]]: ...

    def request(
        self, method: str, path: str, body: Any = None, *, result: Any = None, **options: Unpack[CallOptions]
    ) -> CallResult[Any, ODataOperation[Any]]:
        """Any request, preferring an asynchronous answer."""
        return self._call(method, path, json_body(body), result, options)

    def execute_batch(
        self, batch: Batch, *, format: Format = "json", **options: Unpack[CallOptions]
    ) -> CallResult[BatchResponse, ODataOperation[BatchResponse]]:
        """Send a batch as one asynchronous request. Requests that fail do not raise: each result has its status."""
        return self._call("POST", "$batch", batch_payload(batch, format, options), BATCH, options)

    def execute_batch_and_wait(
        self, batch: Batch, *, format: Format = "json", **options: Unpack[WaitedCall]
    ) -> BatchResponse:
        """Send a batch, wait for it, and follow interim responses to the last one."""
        steps = self._caller(options).finish_batch(batch, format)
        return drive(steps, self._sender, options.get("cancellation"))

    def rest_of_batch(self, response: BatchResponse, **options: Unpack[WaitedCall]) -> BatchResponse:
        """The response with all its interim parts (OData JSON Format 4.01, section 19.4), which `options` are for."""
        steps = self._caller(options).rest_of_batch(response)
        return drive(steps, self._sender, options.get("cancellation"))

    def _call(
        self, method: str, path: str, sent: StartOptions, result: Any, options: CallOptions
    ) -> CallResult[Any, ODataOperation[Any]]:
        steps = self._caller({**options}).begin(method, path, sent)
        tracker, answer = drive(steps, self._sender, options.get("cancellation"))
        operation = ODataOperation[Any](tracker, self._sender, result, options.get("poll_interval"))
        return CallResult(operation, lambda: operation.value, is_async=answer.status_code == 202)

    def _caller(self, options: WaitedCall) -> Call:
        return Call(self._starter, options, self._deadline(options))

    def _operation(self, tracker: Any, result: Any) -> ODataOperation[Any]:
        return ODataOperation(tracker, self._sender, result)

    @overload
    def open(self, monitor_url: str, *, result: type[T]) -> ODataOperation[T]: ...

    @overload
    def open(self, monitor_url: str, *, result: None = None) -> ODataOperation[Any]: ...

    def open(self, monitor_url: str, *, result: Any = None) -> ODataOperation[Any]:
        """As `LroClient.open`."""
        return self._operation(self._starter.open(monitor_url), result)

    @overload
    def resume(self, token: str, *, result: type[T]) -> ODataOperation[T]: ...

    @overload
    def resume(self, token: str, *, result: None = None) -> ODataOperation[Any]: ...

    def resume(self, token: str, *, result: Any = None) -> ODataOperation[Any]:
        """As `LroClient.resume`."""
        return self._operation(self._starter.resume(token), result)
