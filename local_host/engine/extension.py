"""The released Durable extension as the engine: a program that this host has started, or one that runs already."""

import asyncio
from collections.abc import Sequence

import aiohttp
from aiohttp import web

from local_host.durable.binding import durable_client
from local_host.engine.calls import EngineCalls
from local_host.engine.program import EngineProgram
from local_host.errors import EngineError
from local_host.functions import AppFunction
from local_host.host_settings import HostSettings
from local_host.invocation import Calls

_ANSWERS_WITHIN = 10.0  # seconds


class ExtensionEngine:
    """An Engine over a task hub in storage, which other processes may share."""

    title = "the Durable extension as its engine"
    timers_by_lease = True

    def __init__(
        self,
        functions: Sequence[AppFunction],
        settings: HostSettings,
        url: str,
        where: EngineProgram | str,
    ) -> None:
        """`where`: a program that has been started, or the URL that it printed."""
        self._functions = functions
        self._settings = settings
        self._url = url
        self._where = where
        self._calls: EngineCalls | None = None

    async def binding(self) -> str:
        if isinstance(self._where, str):
            rpc = self._where
            await _check(rpc)
        else:
            rpc = await asyncio.to_thread(self._where.rpc_base_url)
        return durable_client(self._url, self._settings.task_hub, rpc)

    def routes(self, call: Calls) -> Sequence[web.RouteDef]:
        self._calls = EngineCalls(self._functions, call, timeout=self._settings.function_timeout)
        return self._calls.routes()

    async def stop_taking(self) -> None:
        if isinstance(self._where, EngineProgram):
            self._where.begin_stop()

    async def close(self) -> None:
        if self._calls is not None:
            await self._calls.close()
        if isinstance(self._where, EngineProgram):
            await asyncio.to_thread(self._where.stop)


async def _check(rpc: str) -> None:
    """EngineError unless the extension's RPC endpoint answers there: with a list of instances, here an empty one."""
    timeout = aiohttp.ClientTimeout(total=_ANSWERS_WITHIN)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"{rpc}instances/", params={"instanceIdPrefix": "-", "top": "1"}) as answer,
        ):
            is_list = answer.status == 200 and (await answer.text()).lstrip().startswith("[")
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise EngineError(f"the engine at {rpc}: nothing answers there: {error or type(error).__name__}") from None
    if not is_list:
        raise EngineError(f"the engine at {rpc}: what answers there ({answer.status}) is not the Durable extension")
