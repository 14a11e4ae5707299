"""The blocking sender: an azure-core pipeline over `requests`.

Each exchange runs in a thread of its own, so that the caller can stop waiting for it at any moment: a socket's time-out
bounds one read, not a server that drips a byte a second. What is given up is broken off, so that its thread ends too.
"""

import contextvars
import socket
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from http.client import HTTPException
from typing import Any

from azure.core.credentials import AzureKeyCredential, TokenCredential
from azure.core.exceptions import AzureError
from azure.core.pipeline import Pipeline

from lro_client import proxies
from lro_client.cancellation import CancellationToken
from lro_client.messages import Answer, Request
from lro_client.model import Limits
from lro_client.pipelines import Body, authentication_for, check_carrier, lost, options_for, outgoing, policies_for
from lro_client.steps import Interrupted, Lost
from lro_client.urls import is_loopback


class Line:
    """What one exchange goes out by. Another thread can break it off: no time-out bounds a server that never ends."""

    def __init__(self) -> None:
        self.is_broken = False
        self._connections: list[Any] = []

    @contextmanager
    def taken(self, connection: Any) -> Generator[None]:
        """Send on a connection (of urllib3); neither before nor after it if the line is broken."""
        self._connections.append(connection)
        self.check()
        yield
        self.check()

    def check(self) -> None:
        """Raises `Lost` once the line is broken."""
        if self.is_broken:
            raise Lost("given up", was_sent=True)

    def break_off(self) -> None:
        self.is_broken = True
        for connection in self._connections:
            if connection.sock is not None:
                with suppress(OSError):
                    connection.sock.shutdown(socket.SHUT_RDWR)


line: ContextVar[Line] = ContextVar("line")
"""That of the exchange in this thread."""


class SyncSender:
    """Sends through azure-core. `transport` replaces `requests`: any azure-core `HttpTransport`, for tests too."""

    def __init__(
        self,
        *,
        credential: TokenCredential | AzureKeyCredential | None = None,
        scopes: Sequence[str] = (),
        key_header: str,
        policies: Sequence[Any] = (),
        transport: Any = None,
        limits: Limits,
    ) -> None:
        self._limits = limits
        self._has_credential = credential is not None
        self._bears_token = credential is not None and not isinstance(credential, AzureKeyCredential)
        self._is_own_transport = transport is None
        if transport is None:
            from lro_client.requests_transport import transport as made  # noqa: PLC0415 - a third of the import time

            transport = made()
        self._transport = transport
        authentication = authentication_for(credential, scopes, key_header, is_async=False)
        self._trusted: Pipeline[Any, Any] = Pipeline(self._transport, policies_for(policies, authentication))
        self._anonymous: Pipeline[Any, Any] = Pipeline(self._transport, policies_for((), ()))

    def send(self, request: Request, timeout: float, token: CancellationToken | None) -> Answer:
        check_carrier(request.url, self._has_credential and request.trusted)
        exchange = _Exchange(lambda: self._exchange(request, timeout))
        return exchange.outcome(timeout, token)

    def sleep(self, seconds: float, token: CancellationToken | None) -> None:
        if token is None:
            time.sleep(seconds)
            return
        woken = threading.Event()
        forget = token.on_cancel(woken.set)
        try:
            if woken.wait(seconds):
                raise Interrupted
        finally:
            forget()

    def close(self) -> None:
        self._transport.close()

    def _exchange(self, request: Request, timeout: float) -> Answer:
        pipeline = self._trusted if request.trusted else self._anonymous
        options = options_for(request.url, timeout, self._limits, bears_token=self._bears_token and request.trusted)
        if self._is_own_transport and is_loopback(request.url):
            options["proxies"] = dict(proxies.NONE)
        response: Any = pipeline.run(outgoing(request), stream=True, **options).http_response
        try:
            body = Body(request, response, self._limits)
            for part in response.iter_bytes():
                body.add(part)
                line.get().check()
            return body.answer()
        finally:
            response.close()


class _Exchange:
    """One exchange in its thread, and the two things that end the wait for it: its outcome, and the caller's token."""

    def __init__(self, work: Callable[[], Answer]) -> None:
        self._work = work
        self._woken = threading.Event()
        self._line = Line()
        self._answer: Answer | None = None
        self._error: BaseException | None = None

    def outcome(self, timeout: float, token: CancellationToken | None) -> Answer:
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(self._run,), name="lro-client", daemon=True)
        forget = token.on_cancel(self._woken.set) if token is not None else None
        thread.start()
        try:
            self._woken.wait(timeout)
        finally:
            # What comes of breaking it off is no outcome.
            answer, error = self._answer, self._error
            if answer is None and error is None:
                self._line.break_off()
            if forget is not None:
                forget()
        if answer is not None:
            return answer
        if error is not None:
            raise error
        if token is not None and token.is_canceled:
            raise Interrupted
        raise Lost(f"no whole answer within {timeout:.1f} s", was_sent=True)

    def _run(self) -> None:
        line.set(self._line)
        try:
            self._answer = self._work()
        except (AzureError, OSError, HTTPException, ValueError, Lost) as error:
            self._error = lost(error)
        except BaseException as error:
            self._error = error
        finally:
            self._woken.set()
