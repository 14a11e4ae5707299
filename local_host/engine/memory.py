"""The host's own engine: a task hub in the memory of this process."""

from collections.abc import Sequence
from datetime import timedelta

from aiohttp import web

from local_host.clock import Clock
from local_host.durable.api import DurableApi
from local_host.durable.binding import durable_client
from local_host.durable.replay import prepare_sdk
from local_host.durable.worker import DurableWorker
from local_host.functions import AppFunction, Trigger, of_trigger
from local_host.host_settings import HostSettings
from local_host.invocation import Calls


class MemoryEngine:
    """An Engine of one process: nothing outlives it, and nobody else can use it."""

    title = "its own Durable Functions engine"
    timers_by_lease = False

    def __init__(self, functions: Sequence[AppFunction], settings: HostSettings, url: str, clock: Clock) -> None:
        prepare_sdk()
        self._functions = functions
        self._task_hub = settings.task_hub
        self._max_activities = settings.max_concurrent_activities
        self._timeout: timedelta | None = settings.function_timeout
        self._url = url
        self._clock = clock
        self._worker: DurableWorker | None = None

    async def binding(self) -> str:
        return durable_client(self._url, self._task_hub)

    def routes(self, call: Calls) -> Sequence[web.RouteDef]:
        self._worker = DurableWorker(
            of_trigger(self._functions, Trigger.ORCHESTRATION),
            of_trigger(self._functions, Trigger.ACTIVITY),
            call,
            clock=self._clock,
            max_activities=self._max_activities,
            timeout=self._timeout,
        )
        return DurableApi(self._worker, self._url, self._task_hub).routes()

    async def stop_taking(self) -> None:
        """It takes work as long as requests come."""

    async def close(self) -> None:
        if self._worker is not None:
            await self._worker.close()
