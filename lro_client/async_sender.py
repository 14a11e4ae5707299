"""The asynchronous sender: an azure-core pipeline over `aiohttp`."""

import asyncio
import zlib
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from azure.core.credentials import AzureKeyCredential
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError
from azure.core.pipeline import AsyncPipeline

from lro_client.cancellation import CancellationToken
from lro_client.messages import Answer, Request
from lro_client.model import Limits
from lro_client.pipelines import Body, authentication_for, check_carrier, lost, options_for, outgoing, policies_for
from lro_client.proxies import proxy_for
from lro_client.steps import Interrupted, Lost

T = TypeVar("T")
_FIELD_BYTES = 64 * 1024


class AsyncSender:
    """Sends through azure-core. `transport` replaces `aiohttp`: any azure-core `AsyncHttpTransport`, for tests too."""

    def __init__(
        self,
        *,
        credential: AsyncTokenCredential | AzureKeyCredential | None = None,
        scopes: Sequence[str] = (),
        key_header: str,
        policies: Sequence[Any] = (),
        transport: Any = None,
        limits: Limits,
    ) -> None:
        self._limits = limits
        self._has_credential = credential is not None
        self._bears_token = credential is not None and not isinstance(credential, AzureKeyCredential)
        self._transport = transport
        self._is_own_transport = transport is None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._policies = policies
        self._authentication = authentication_for(credential, scopes, key_header, is_async=True)
        self._pipelines: tuple[Any, Any] | None = None

    async def send(self, request: Request, timeout: float, token: CancellationToken | None) -> Answer:
        check_carrier(request.url, self._has_credential and request.trusted)
        try:
            async with asyncio.timeout(timeout):
                return await _unless(token, self._exchange(request, timeout))
        except TimeoutError:
            raise Lost(f"no whole answer within {timeout:.1f} s", was_sent=True) from None

    async def sleep(self, seconds: float, token: CancellationToken | None) -> None:
        await _unless(token, asyncio.sleep(seconds))

    async def close(self) -> None:
        if self._transport is not None:
            await self._transport.close()

    async def _exchange(self, request: Request, timeout: float) -> Answer:
        trusted, anonymous = self._opened()
        pipeline = trusted if request.trusted else anonymous
        options = options_for(request.url, timeout, self._limits, bears_token=self._bears_token and request.trusted)
        if self._is_own_transport:
            # `aiohttp` would look into the environment itself, but it would read `.netrc` as well.
            options["proxy"] = proxy_for(request.url)
        try:
            response: Any = (await pipeline.run(outgoing(request), stream=True, **options)).http_response
            try:
                body = Body(request, response, self._limits)
                async for part in response.iter_bytes():
                    body.add(part)
                return body.answer()
            finally:
                await response.close()
        except TimeoutError:
            raise
        except (AzureError, OSError, ValueError, EOFError, zlib.error) as error:
            raise lost(error) from error

    def _opened(self) -> tuple[Any, Any]:
        """The pipelines; `aiohttp` wants an event loop before there can be any, and stays with it."""
        loop = asyncio.get_running_loop()
        if self._is_own_transport and self._loop not in (None, loop):
            raise RuntimeError(
                "an asynchronous client belongs to the event loop of its first request; make another one"
            )
        if self._pipelines is None:
            self._loop = loop
            self._transport = self._transport or _aiohttp_transport()
            self._pipelines = (
                AsyncPipeline[Any, Any](self._transport, policies_for(self._policies, self._authentication)),
                AsyncPipeline[Any, Any](self._transport, policies_for((), ())),
            )
        return self._pipelines


async def _unless(token: CancellationToken | None, work: Awaitable[T]) -> T:
    """`work`, unless the token is used first."""
    if token is None:
        return await work
    loop = asyncio.get_running_loop()
    used: asyncio.Future[None] = loop.create_future()
    forget = token.on_cancel(lambda: _wake(loop, used))
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task, used}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise Interrupted
        return task.result()
    finally:
        forget()
        used.cancel()
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def _wake(loop: asyncio.AbstractEventLoop, future: "asyncio.Future[None]") -> None:
    """From any thread. A loop that is closed has nobody left to wake."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(_resolve, future)


def _resolve(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


def _aiohttp_transport() -> Any:
    try:
        import aiohttp  # noqa: PLC0415 - a third of the import time; the blocking client does without
    except ImportError:
        raise ImportError("the asynchronous client needs aiohttp: pip install 'lro-client[aio]'") from None
    from azure.core.pipeline.transport import AioHttpTransport  # noqa: PLC0415

    session = aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        max_line_size=_FIELD_BYTES,
        max_field_size=_FIELD_BYTES,
    )
    return AioHttpTransport(session=session)
