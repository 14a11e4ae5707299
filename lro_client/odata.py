"""Clients for OData 4 services that answer asynchronously (OData 4.01 Protocol, 8.2.8.8 and 11.6)."""

from typing import Any, Literal, Unpack
from uuid import uuid4

from azure.core.credentials import AzureKeyCredential, TokenCredential
from azure.core.credentials_async import AsyncTokenCredential

from lro_client.client import AsyncLroClient, C, ClientOptions, ClientSteps, LroClient
from lro_client.errors import StoppedWaiting, WaitCanceled
from lro_client.exchange import DeadlinePassed
from lro_client.messages import Answer
from lro_client.model import Profile
from lro_client.odata_batch import Batch, BatchResponse, read_batch
from lro_client.odata_state import CallOptions, CallResult, ODataState, WaitedCall, preferring_async, versioned
from lro_client.operation import AsyncOperation, Operation, OperationState
from lro_client.starting import StartOptions
from lro_client.steps import Interrupted, Steps, awaited, blocking, drive, drive_async
from lro_client.tracker import Tracker
from lro_client.urls import resolve, without_query
from lro_client.values import Reader, T

MOST_INTERIM = 1000
"""Interim responses of one batch that are followed."""

BATCH = Reader(read_batch)
Format = Literal["json", "multipart"]


class ODataOperation(ODataState[T], Operation[T]):
    """An asynchronous OData request, blocking. Everything of `Operation`, and the words that OData clients use."""

    poll = blocking(ODataState[T]._poll)
    wait_for_completion = blocking(ODataState[T]._wait_for_completion)


class AsyncODataOperation(ODataState[T], AsyncOperation[T]):
    """As `ODataOperation`, on an event loop."""

    poll = awaited(ODataState[T]._poll)
    wait_for_completion = awaited(ODataState[T]._wait_for_completion)


class ODataSteps(ClientSteps[C]):
    """What both clients of OData share."""

    profile = Profile.ODATA

    def __init__(
        self,
        endpoint: str,
        credential: C | AzureKeyCredential | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        options["headers"] = versioned(options.get("headers"))
        super().__init__(endpoint, credential, **options)

    def _begin(self, method: str, path: str, sent: StartOptions, options: CallOptions) -> Steps[tuple[Tracker, Answer]]:
        """Send what may be answered asynchronously."""
        deadline = self._deadline(options.get("timeout"))
        return self._starter.start(method, path, preferring_async(sent, options), deadline)

    def _call_and_wait(
        self, name: str, parameters: Any = None, *, result: type[T] | None = None, **options: Unpack[WaitedCall]
    ) -> Steps[T]:
        """Call an action and wait for its result, whichever way the service answers.

        Raises:
            As `LroClient.start` and `Operation.wait`; a time-out says that the operation goes on.
        """
        deadline = self._deadline(options.get("timeout"))
        tracker, _ = yield from self._begin("POST", name, json_body({} if parameters is None else parameters), options)
        return (yield from self._finish(tracker, result, options, deadline))

    def _execute_batch_and_wait(
        self, batch: Batch, *, format: Format = "json", **options: Unpack[WaitedCall]
    ) -> Steps[BatchResponse]:
        """Send a batch, wait for it, and follow interim responses to the last one."""
        deadline = self._deadline(options.get("timeout"))
        tracker, _ = yield from self._begin("POST", "$batch", batch_payload(batch, format, options), options)
        response = yield from self._finish(tracker, BATCH, options, deadline)
        return (yield from self._rest(response, options, deadline))

    def _rest_of_batch(self, response: BatchResponse, **options: Unpack[WaitedCall]) -> Steps[BatchResponse]:
        """The response with all its interim parts (OData JSON Format 4.01, section 19.4), which `options` are for.

        Raises:
            StoppedWaiting, WaitCanceled: before the last part had come.
        """
        return self._rest(response, options, self._deadline(options.get("timeout")))

    def _rest(self, response: BatchResponse, options: WaitedCall, deadline: float | None) -> Steps[BatchResponse]:
        for _ in range(MOST_INTERIM):
            if response.next_url is None:
                break
            link = resolve(self._starter.url("$batch"), response.next_url)
            known = f"{len(response.results)} results of the batch have come, more are at {without_query(link)}"
            try:
                tracker, _ = yield from self._starter.sent("GET", link, preferring_async({}, options), deadline)
            except DeadlinePassed as passed:
                failed = f" The last try failed: {passed.reason}." if passed.reason else ""
                raise StoppedWaiting(f"Stopped waiting; {known}.{failed}", answer=passed.answer) from None
            except Interrupted:
                raise WaitCanceled(f"Nobody waits any longer; {known}.") from None
            response = response.joined((yield from self._finish(tracker, BATCH, options, deadline)))
        return response

    def _finish(self, tracker: Tracker, kind: Any, options: WaitedCall, deadline: float | None) -> Steps[Any]:
        return OperationState(tracker, self._sender, kind).finish(deadline, options.get("poll_interval"), options)


class ODataClient(ODataSteps[TokenCredential], LroClient):
    """A client of an OData 4 service, blocking. `endpoint` is the service root."""

    call_and_wait = blocking(ODataSteps[TokenCredential]._call_and_wait)
    execute_batch_and_wait = blocking(ODataSteps[TokenCredential]._execute_batch_and_wait)
    rest_of_batch = blocking(ODataSteps[TokenCredential]._rest_of_batch)

    def call_action(
        self, name: str, parameters: Any = None, *, result: type[T] | None = None, **options: Unpack[CallOptions]
    ) -> CallResult[T, ODataOperation[T]]:
        """Call an action, preferring an asynchronous answer. `name` is its path below the service root.

        Raises:
            As `LroClient.start`.
        """
        return self.request("POST", name, {} if parameters is None else parameters, result=result, **options)

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        result: type[T] | None = None,
        **options: Unpack[CallOptions],
    ) -> CallResult[T, ODataOperation[T]]:
        """Any request, preferring an asynchronous answer."""
        return self._call(method, path, json_body(body), result, options)

    def execute_batch(
        self, batch: Batch, *, format: Format = "json", **options: Unpack[CallOptions]
    ) -> CallResult[BatchResponse, ODataOperation[BatchResponse]]:
        """Send a batch as one asynchronous request. Requests that fail do not raise: each result has its status."""
        return self._call("POST", "$batch", batch_payload(batch, format, options), BATCH, options)

    def _call(
        self, method: str, path: str, sent: StartOptions, result: Any, options: CallOptions
    ) -> CallResult[Any, ODataOperation[Any]]:
        steps = self._begin(method, path, sent, options)
        tracker, answer = drive(steps, self._sender, options.get("cancellation"))
        operation = ODataOperation[Any](tracker, self._sender, result, options.get("poll_interval"))
        return CallResult(operation, lambda: operation.value, is_async=answer.status_code == 202)

    def open(self, monitor_url: str, *, result: type[T] | None = None) -> ODataOperation[T]:
        """As `LroClient.open`."""
        return ODataOperation(self._starter.open(monitor_url), self._sender, result)

    def resume(self, token: str, *, result: type[T] | None = None) -> ODataOperation[T]:
        """As `LroClient.resume`."""
        return ODataOperation(self._starter.resume(token), self._sender, result)


class AsyncODataClient(ODataSteps[AsyncTokenCredential], AsyncLroClient):
    """As `ODataClient`, on an event loop."""

    call_and_wait = awaited(ODataSteps[AsyncTokenCredential]._call_and_wait)
    execute_batch_and_wait = awaited(ODataSteps[AsyncTokenCredential]._execute_batch_and_wait)
    rest_of_batch = awaited(ODataSteps[AsyncTokenCredential]._rest_of_batch)

    async def call_action(
        self, name: str, parameters: Any = None, *, result: type[T] | None = None, **options: Unpack[CallOptions]
    ) -> CallResult[T, AsyncODataOperation[T]]:
        """As `ODataClient.call_action`."""
        return await self.request("POST", name, {} if parameters is None else parameters, result=result, **options)

    async def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        result: type[T] | None = None,
        **options: Unpack[CallOptions],
    ) -> CallResult[T, AsyncODataOperation[T]]:
        """As `ODataClient.request`."""
        return await self._call(method, path, json_body(body), result, options)

    async def execute_batch(
        self, batch: Batch, *, format: Format = "json", **options: Unpack[CallOptions]
    ) -> CallResult[BatchResponse, AsyncODataOperation[BatchResponse]]:
        """As `ODataClient.execute_batch`."""
        return await self._call("POST", "$batch", batch_payload(batch, format, options), BATCH, options)

    async def _call(
        self, method: str, path: str, sent: StartOptions, result: Any, options: CallOptions
    ) -> CallResult[Any, AsyncODataOperation[Any]]:
        steps = self._begin(method, path, sent, options)
        tracker, answer = await drive_async(steps, self._sender, options.get("cancellation"))
        operation = AsyncODataOperation[Any](tracker, self._sender, result, options.get("poll_interval"))
        return CallResult(operation, lambda: operation.value, is_async=answer.status_code == 202)

    def open(self, monitor_url: str, *, result: type[T] | None = None) -> AsyncODataOperation[T]:
        """As `LroClient.open`."""
        return AsyncODataOperation(self._starter.open(monitor_url), self._sender, result)

    def resume(self, token: str, *, result: type[T] | None = None) -> AsyncODataOperation[T]:
        """As `LroClient.resume`."""
        return AsyncODataOperation(self._starter.resume(token), self._sender, result)


def batch_payload(batch: Batch, format: Format, options: CallOptions) -> StartOptions:
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


def json_body(body: Any) -> StartOptions:
    """A body as JSON; none where there is none."""
    return {} if body is None else {"json": body}
