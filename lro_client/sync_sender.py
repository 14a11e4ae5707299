"""The blocking sender: an azure-core pipeline over `requests`.

Each exchange runs in a thread of its own, so that the caller can stop waiting for it at any moment: a socket's time-out
bounds one read, not a server that drips a byte a second. What is given up is broken off, so that its thread ends too.
"""

import contextvars
import threading
from collections.abc import Generator
from concurrent.futures import Future
from contextlib import contextmanager
from http.client import HTTPException
from typing import Any

from azure.core.exceptions import AzureError
from azure.core.pipeline import Pipeline

from lro_client import proxies
from lro_client.cancellation import CancellationToken
from lro_client.connections import Connections, connections
from lro_client.messages import Answer, Request
from lro_client.pipelines import Body, SenderOptions, lost, outgoing, policies
from lro_client.steps import Interrupted, Lost
from lro_client.urls import is_loopback


class PipelineSender:
    """Sends through azure-core. A `transport` replaces `requests`: any azure-core `HttpTransport`, for tests too."""

    def __init__(self, options: SenderOptions) -> None:
        self._options = options
        self._transport = options.transport
        if options.transport is None:
            from lro_client.requests_transport import transport  # noqa: PLC0415 - a third of the import time

            self._transport = transport()
        self._trusted: Pipeline[Any, Any] = Pipeline(self._transport, options.pipeline(is_async=False))
        self._anonymous: Pipeline[Any, Any] = Pipeline(self._transport, policies())

    def send(self, request: Request, timeout: float, token: CancellationToken | None) -> Answer:
        options = self._options.of(request, timeout)
        outcome: Future[Answer] = Future()
        used = Connections()

        def work() -> None:
            connections.set(used)
            try:
                outcome.set_result(self._exchange(request, options))
            except (AzureError, OSError, HTTPException, ValueError, Lost) as error:
                outcome.set_exception(lost(error))
            except BaseException as error:
                outcome.set_exception(error)

        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(work,), name="lro-client", daemon=True)
        with _woken_by(token) as woken:
            outcome.add_done_callback(lambda _: woken.set())
            thread.start()
            try:
                woken.wait(timeout)
            finally:
                # What comes of breaking it off is no outcome.
                has_ended = outcome.done()
                if not has_ended:
                    used.shut_down()
        if has_ended:
            return outcome.result()
        if token is not None and token.is_canceled:
            raise Interrupted
        raise Lost(f"no whole answer within {timeout:.1f} s", was_sent=True)

    def sleep(self, seconds: float, token: CancellationToken | None) -> None:
        with _woken_by(token) as woken:
            if self._options.clock.wait(woken, seconds):
                raise Interrupted

    def close(self) -> None:
        self._transport.close()

    def _exchange(self, request: Request, options: dict[str, Any]) -> Answer:
        pipeline = self._trusted if request.trusted else self._anonymous
        if self._options.transport is None and is_loopback(request.url):
            options["proxies"] = dict(proxies.NONE)
        response: Any = pipeline.run(outgoing(request), stream=True, **options).http_response
        try:
            body = Body(request, response, self._options.limits)
            for part in response.iter_bytes():
                body.add(part)
                connections.get().check()
            return body.answer()
        finally:
            response.close()


@contextmanager
def _woken_by(token: CancellationToken | None) -> Generator[threading.Event]:
    """An event that a use of the token sets."""
    woken = threading.Event()
    forget = token.on_cancel(woken.set) if token is not None else None
    try:
        yield woken
    finally:
        if forget is not None:
            forget()
