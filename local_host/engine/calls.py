"""The two calls of the Durable extension to this host: replay an orchestrator, run an activity.

| call | body | answer |
|---|---|---|
| `POST /__host/orchestrator/{name}` | the orchestrationTrigger's JSON | 200 with what the function returned |
| `POST /__host/activity/{name}` | the activity's input as JSON | 200 with its result as JSON |

A function that fails is 500; the text is what a worker reports to its host: `Type: message`, then the stack. The
extension finds an orchestrator's state in it (`$OutOfProcData$`).
"""

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import timedelta

from aiohttp import web
from azure.functions import meta
from azure.functions.durable_functions import ActivityTriggerConverter

from local_host.functions import AppFunction, Trigger, of_trigger
from local_host.invocation import Calls

PREFIX = "/__host"
_log = logging.getLogger(__name__)


class EngineCalls:
    """Handlers over an app's orchestrators and activities; an activity runs no longer than `timeout`."""

    def __init__(self, functions: Iterable[AppFunction], call: Calls, *, timeout: timedelta | None) -> None:
        declared = list(functions)
        self._orchestrators = _by_name(of_trigger(declared, Trigger.ORCHESTRATION))
        self._activities = _by_name(of_trigger(declared, Trigger.ACTIVITY))
        self._call = call
        self._timeout = timeout
        self._running: set[asyncio.Task[str]] = set()

    async def close(self, patience: float = 1.5) -> None:
        """Cancel what runs, also for a caller that has gone meanwhile; wait for it, at most `patience` seconds."""
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running, timeout=patience)

    def routes(self) -> Sequence[web.RouteDef]:
        return [
            web.post(f"{PREFIX}/orchestrator/{{name}}", self._served(self._orchestrators, self._replay)),
            web.post(f"{PREFIX}/activity/{{name}}", self._served(self._activities, self._act)),
        ]

    async def _replay(self, function: AppFunction, body: str) -> str:
        return str(await self._call(function, body))

    async def _act(self, function: AppFunction, body: str) -> str:
        argument = ActivityTriggerConverter.decode(meta.Datum(body, "json"), trigger_metadata=None)
        limit = asyncio.timeout(self._timeout.total_seconds() if self._timeout else None)
        try:
            async with limit:
                result = await self._call(function, argument)
        except TimeoutError:
            if limit.expired():
                raise TimeoutError(f"it ran longer than functionTimeout, {self._timeout}") from None
            raise
        return str(ActivityTriggerConverter.encode(result, expected_type=None).value)

    def _served(
        self, functions: Mapping[str, AppFunction], run: Callable[[AppFunction, str], Awaitable[str]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            name = request.match_info["name"]
            function = functions.get(name.lower())
            if function is None:
                return web.Response(status=404, text=f"The app has no function '{name}' of this kind")
            task = asyncio.ensure_future(run(function, await request.text()))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            try:
                return web.Response(text=await task, content_type="application/json")
            except Exception as error:
                _log.error("Function '%s' failed: %s: %s", name, type(error).__name__, str(error).partition("\n")[0])
                stack = "".join(traceback.format_exception(error))
                return web.Response(status=500, text=f"{type(error).__name__}: {error}\nStack: {stack}")

        return handle


def _by_name(functions: Iterable[AppFunction]) -> Mapping[str, AppFunction]:
    return {each.durable_name.lower(): each for each in functions}
