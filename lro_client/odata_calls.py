"""OData's calls as steps: the blocking and the asynchronous client run the same ones."""

from typing import Any, Literal
from uuid import uuid4

from lro_client.errors import StoppedWaiting, WaitCanceled
from lro_client.exchange import DeadlinePassed
from lro_client.messages import Answer
from lro_client.odata_batch import Batch, BatchResponse, read_batch
from lro_client.odata_state import CallOptions, WaitedCall, preferring_async
from lro_client.operation_state import OperationState
from lro_client.starting import Starter, StartOptions
from lro_client.steps import Interrupted, Steps
from lro_client.tracker import Tracker
from lro_client.urls import resolve, without_query
from lro_client.values import Reader

MOST_INTERIM = 1000
"""Interim responses of one batch that are followed."""

BATCH = Reader(read_batch)
Format = Literal["json", "multipart"]


class Call:
    """One call of a client. `deadline`, on the settings' clock, is for everything that the call leads to."""

    def __init__(self, starter: Starter, options: WaitedCall, deadline: float | None) -> None:
        self._starter = starter
        self._options = options
        self._deadline = deadline

    def begin(self, method: str, path: str, sent: StartOptions) -> Steps[tuple[Tracker, Answer]]:
        """Send what may be answered asynchronously."""
        return self._starter.start(method, path, self._preferring(sent), self._deadline)

    def finish(self, method: str, path: str, sent: StartOptions, kind: Any = None) -> Steps[Any]:
        """Send it, wait for its end, and return its result."""
        tracker, _ = yield from self.begin(method, path, sent)
        return (yield from self._result(tracker, kind))

    def finish_batch(self, batch: Batch, format: Format) -> Steps[BatchResponse]:
        """Send a batch, wait for it, and follow its interim responses."""
        payload = batch_payload(batch, format, self._options)
        response = yield from self.finish("POST", "$batch", payload, BATCH)
        return (yield from self.rest_of_batch(response))

    def rest_of_batch(self, response: BatchResponse) -> Steps[BatchResponse]:
        """The response with all its interim parts (OData JSON Format 4.01, section 19.4).

        Raises:
            StoppedWaiting, WaitCanceled: before the last part had come.
        """
        for _ in range(MOST_INTERIM):
            if response.next_url is None:
                break
            link = resolve(self._starter.url("$batch"), response.next_url)
            known = f"{len(response.results)} results of the batch have come, more are at {without_query(link)}"
            try:
                tracker, _ = yield from self._starter.sent("GET", link, self._preferring({}), self._deadline)
            except DeadlinePassed as passed:
                failed = f" The last try failed: {passed.told}." if passed.told else ""
                raise StoppedWaiting(f"Stopped waiting; {known}.{failed}", answer=passed.answer) from None
            except Interrupted:
                raise WaitCanceled(f"Nobody waits any longer; {known}.") from None
            response = response.joined((yield from self._result(tracker, BATCH)))
        return response

    def _preferring(self, sent: StartOptions) -> StartOptions:
        return {**sent, "headers": preferring_async(self._options) | dict(sent.get("headers") or {})}

    def _result(self, tracker: Tracker, kind: Any) -> Steps[Any]:
        options = self._options
        interval, on_progress = options.get("poll_interval"), options.get("on_progress")
        yield from tracker.watch(self._deadline, interval, on_progress, options.get("cancel_operation", False))
        return OperationState[Any](tracker, kind).value


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
