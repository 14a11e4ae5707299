"""The asynchronous sender: an azure-core pipeline over `aiohttp`."""

import asyncio
import zlib
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any, TypeVar

from azure.core.exceptions import AzureError
from azure.core.pipeline import AsyncPipeline

from lro_client.cancellation import CancellationToken
from lro_client.messages import Answer, Request
from lro_client.pipelines import Body, SenderOptions, lost, outgoing, policies
from lro_client.proxies import proxy_for
from lro_client.steps import Interrupted, Lost

T = TypeVar("T")
_FIELD_BYTES = 64 * 1024


class AsyncPipelineSender:
    """Sends through azure-core. A `transport` replaces `aiohttp`: any azure-core `AsyncHttpTransport`, in tests too."""

    def __init__(self, options: SenderOptions) -> None:
        self._options = options
        self._transport = options.transport
        self._policies = (options.pipeline(is_async=True), policies())
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pipelines: tuple[Any, Any] | None = None

    async def send(self, request: Request, timeout: float, token: CancellationToken | None) -> Answer:
        options = self._options.of(request, timeout)
        try:
            async with asyncio.timeout(timeout):
                return await _unless(token, self._exchange(request, options))
        except TimeoutError:
            raise Lost(f"no whole answer within {timeout:.1f} s", was_sent=True) from None

    async def sleep(self, seconds: float, token: CancellationToken | None) -> None:
        await _unless(token, self._options.clock.sleep(seconds))

    async def close(self) -> None:
        if self._transport is not None:
            await self._transport.close()

    async def _exchange(self, request: Request, options: dict[str, Any]) -> Answer:
        trusted, others = self._opened()
        pipeline = trusted if request.trusted else others
        if self._options.transport is None:
            # `aiohttp` would look into the environment itself, but it would read `.netrc` as well.
            options["proxy"] = proxy_for(request.url)
        try:
            response: Any = (await pipeline.run(outgoing(request), stream=True, **options)).http_response
            try:
                body = Body(request, response, self._options.limits)
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
        if self._options.transport is None and self._loop not in (None, loop):
            raise RuntimeError(
                "an asynchronous client belongs to the event loop of its first request; make another one"
            )
        if self._pipelines is None:
            self._loop = loop
            self._transport = self._transport or _aiohttp_transport()
            trusted, others = self._policies
            self._pipelines = (
                AsyncPipeline[Any, Any](self._transport, trusted),
                AsyncPipeline[Any, Any](self._transport, others),
            )
        return self._pipelines


async def _unless(token: CancellationToken | None, work: Awaitable[T]) -> T:
    """`work`, unless the token is used first."""
    if token is None:
        return await work
    used: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    forget = token.on_cancel(lambda: _end(used))
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


def _end(used: "asyncio.Future[None]") -> None:
    """From any thread. A loop that is closed has nobody left to wake."""
    with suppress(RuntimeError):
        used.get_loop().call_soon_threadsafe(used.cancel)


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
