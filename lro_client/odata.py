"""Clients for OData 4 services that answer asynchronously (OData 4.01 Protocol, 8.2.8.8 and 11.6)."""

from typing import Any, Literal, TypeVar, Unpack, overload
from uuid import uuid4

from azure.core.credentials import AzureKeyCredential, TokenCredential

from lro_client.cancellation import CancellationToken
from lro_client.client import ClientOptions, LroClient, deadline_of
from lro_client.model import Profile
from lro_client.odata_batch import Batch, BatchResponse, read_batch
from lro_client.odata_state import (
    CallOptions,
    CallResult,
    ODataWords,
    WaitedCall,
    preferring_async,
    versioned,
)
from lro_client.operation import Operation
from lro_client.starting import StartOptions
from lro_client.steps import drive
from lro_client.urls import resolve
from lro_client.values import Reader

T = TypeVar("T")
MOST_INTERIM = 1000
"""Interim responses of one batch that are followed."""


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
        cancel_operation: bool = False,
    ) -> T:
        """As `wait`."""
        return self.wait(
            interval=self._interval if poll_interval is None else poll_interval,
            timeout=timeout,
            cancellation=cancellation,
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
        deadline = deadline_of(options, self._starter.settings)
        sent: StartOptions = {"json": {} if parameters is None else parameters}
        called = self._call("POST", name, sent, result, options)
        return self._result(called, options, deadline)

    def request(
        self, method: str, path: str, body: Any = None, *, result: Any = None, **options: Unpack[CallOptions]
    ) -> CallResult[Any, ODataOperation[Any]]:
        """Any request, preferring an asynchronous answer."""
        return self._call(method, path, {} if body is None else {"json": body}, result, options)

    def execute_batch(
        self, batch: Batch, *, format: Literal["json", "multipart"] = "json", **options: Unpack[CallOptions]
    ) -> CallResult[BatchResponse, ODataOperation[BatchResponse]]:
        """Send a batch as one asynchronous request. Requests that fail do not raise: each result has its status."""
        return self._call("POST", "$batch", batch_payload(batch, format, options), Reader(read_batch), options)

    def execute_batch_and_wait(
        self, batch: Batch, *, format: Literal["json", "multipart"] = "json", **options: Unpack[WaitedCall]
    ) -> BatchResponse:
        """Send a batch, wait for it, and follow interim responses to the last one."""
        deadline = deadline_of(options, self._starter.settings)
        called = self._call("POST", "$batch", batch_payload(batch, format, options), Reader(read_batch), options)
        return self._rest(self._result(called, options, deadline), options, deadline)

    def rest_of_batch(self, response: BatchResponse, **options: Unpack[WaitedCall]) -> BatchResponse:
        """The response with all its interim parts (OData JSON Format 4.01, section 19.4), which `options` are for."""
        return self._rest(response, options, deadline_of(options, self._starter.settings))

    def _rest(self, response: BatchResponse, options: WaitedCall, deadline: float | None) -> BatchResponse:
        for _ in range(MOST_INTERIM):
            if response.next_url is None:
                break
            link = resolve(self._starter.url("$batch"), response.next_url)
            more = self._call("GET", link, {}, Reader(read_batch), options)
            response = response.joined(self._result(more, options, deadline))
        return response

    def _call(
        self, method: str, path: str, sent: StartOptions, result: Any, options: CallOptions | WaitedCall
    ) -> CallResult[Any, ODataOperation[Any]]:
        sent["headers"] = preferring_async(options) | dict(sent.get("headers") or {})
        steps = self._starter.start(method, path, sent, self._deadline(options))
        tracker, answer = drive(steps, self._sender, options.get("cancellation"))
        operation = ODataOperation[Any](tracker, self._sender, result, options.get("poll_interval"))
        return CallResult(operation, lambda: operation.value, is_async=answer.status_code == 202)

    def _result(self, called: CallResult[Any, ODataOperation[Any]], options: WaitedCall, deadline: float | None) -> Any:
        if not called.is_async:
            return called.synchronous_result
        return called.operation.wait(
            timeout=None if deadline is None else max(0.0, deadline - self._starter.settings.clock()),
            interval=options.get("poll_interval"),
            cancellation=options.get("cancellation"),
            cancel_operation=options.get("cancel_operation", False),
        )

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


def batch_payload(batch: Batch, format: Literal["json", "multipart"], options: CallOptions) -> StartOptions:
    """The body of a batch and its content type. `continue-on-error` is a preference (OData 4.01, 8.2.8.3)."""
    if batch.continue_on_error:
        given = dict(options.get("headers") or {})
        options["headers"] = given | {"Prefer": ", ".join(filter(None, [given.get("Prefer"), "continue-on-error"]))}
    if format == "json":
        return {"content": batch.json(), "headers": {"Content-Type": "application/json"}}
    boundary = f"batch_{uuid4()}"
    return {
        "content": batch.multipart(boundary),
        "headers": {"Content-Type": f"multipart/mixed; boundary={boundary}"},
    }
