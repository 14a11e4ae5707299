"""What docs/client.md says of azure-core beside this client: both against the same server."""

from collections.abc import Callable
from typing import Any

import pytest
from azure.core import PipelineClient
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import HttpResponseError
from azure.core.pipeline.policies import AzureKeyCredentialPolicy, ContentDecodePolicy, RequestIdPolicy, RetryPolicy
from azure.core.polling import LROPoller
from azure.core.polling.base_polling import LROBasePolling
from azure.core.rest import HttpRequest

from lro_client import LroClient, OperationCanceled, OperationFailed, Profile, StoppedWaiting, UnexpectedAnswer
from tests.client.clocks import QuickClock
from tests.client.hostile import JSON, SECRET, SUCCEEDED, Hostile, answer, hostile

pytestmark = pytest.mark.timeout(60)

LOOKS = 4
"""After so many looks a poller polls on."""


def core(server: Hostile, result_within: float | None = None) -> Any:
    """What azure-core's poller comes to, or `...` where it still polls."""
    key = AzureKeyCredentialPolicy(AzureKeyCredential(SECRET), "x-functions-key")
    retry = RetryPolicy(retry_total=1, retry_backoff_factor=0.01)
    policies = [RequestIdPolicy(), ContentDecodePolicy(), key, retry]
    with PipelineClient[Any, Any](server.url, policies=policies) as client:
        first = client._pipeline.run(HttpRequest("POST", f"{server.url}/start"))
        first.http_response.read()
        method: Any = LROBasePolling(timeout=0.1)
        poller: LROPoller[Any] = LROPoller(client, first, lambda last: last.http_response.status_code, method)
        if result_within is not None:
            return poller.result(result_within)
        before = len(server.heads)
        while not poller.done() and len(server.heads) - before < LOOKS:
            poller.wait(0.05)
        return poller.result() if poller.done() else ...


def ours(server: Hostile, profile: Profile = Profile.AUTO, timeout: float = 30) -> Any:
    with LroClient(server.url, AzureKeyCredential(SECRET), profile=profile, clock=QuickClock()) as client:
        return client.run("POST", "start", timeout=timeout)


def monitor(word: str, *headers: str) -> bytes:
    return answer("200 OK", "\n".join([JSON, *headers]), f'{{"status": "{word}"}}')


def test_cancelled() -> None:
    """`Cancelled` is an end here; azure-core polls on."""
    with hostile(poll=monitor("Cancelled")) as server:
        with pytest.raises(OperationCanceled):
            ours(server)
        assert core(server) is ...


def test_time_out() -> None:
    """An error here; azure-core hands out what it has seen last."""
    with hostile(poll=monitor("Running")) as server:
        with pytest.raises(StoppedWaiting):
            ours(server, timeout=0.5)
        assert core(server, result_within=0.5) == 200


def test_canceled_is_an_error_of_its_own() -> None:
    """Here; azure-core has one error for both."""
    with hostile(poll=monitor("Canceled")) as server:
        with pytest.raises(OperationCanceled):
            ours(server)
        with pytest.raises(HttpResponseError):
            core(server)


def test_async_result() -> None:
    """A failure behind a 200; azure-core takes it for success."""
    poll = answer("200 OK", f"{JSON}\nAsyncResult: 409", '{"error": {"code": "Taken"}}')
    with hostile(poll=poll) as other:
        start = answer("202 Accepted", f"Location: {other.url}/monitor")
        with hostile(poll=b"", start=start) as server:
            with pytest.raises(OperationFailed, match="Taken"):
                ours(server, Profile.ODATA)
            assert core(server) == 200


def test_retry_after_that_is_none() -> None:
    """Garbage is ignored; azure-core stumbles."""
    with hostile(poll=monitor("Running", "Retry-After: soon")) as server:
        with pytest.raises(StoppedWaiting):
            ours(server, timeout=0.5)
        with pytest.raises(ValueError, match="Invalid HTTP date"):
            core(server)


def test_relative_monitor() -> None:
    """Resolved; azure-core cannot send it."""
    with hostile(poll=SUCCEEDED, start=answer("202 Accepted", "Operation-Location: /monitor")) as server:
        assert ours(server) == 7
        with pytest.raises(Exception, match="No scheme supplied"):
            core(server)


def test_accepted_without_a_monitor() -> None:
    """An error; azure-core takes it for success."""
    with hostile(poll=SUCCEEDED, start=answer("202 Accepted")) as server:
        with pytest.raises(UnexpectedAnswer):
            ours(server)
        assert core(server) is None


@pytest.mark.parametrize(("drive", "sent"), [(ours, False), (core, True)])
def test_credentials_elsewhere(drive: Callable[[Hostile], Any], sent: bool) -> None:
    """Not sent to another origin's monitor; azure-core sends them."""
    with hostile(poll=SUCCEEDED) as other:
        start = answer("202 Accepted", f"Operation-Location: {other.url}/monitor")
        with hostile(poll=b"", start=start) as server:
            drive(server)
            assert SECRET in server.heads[0]
        assert other.heads
        assert (SECRET in other.heads[0]) is sent
