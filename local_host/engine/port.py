"""What the host asks of an engine, whichever it is."""

from collections.abc import Sequence
from typing import Protocol

from aiohttp import web

from local_host.invocation import Calls


class Engine(Protocol):
    """Starts orchestrations for the durable client, and calls the app's orchestrators and activities."""

    @property
    def title(self) -> str:
        """What it is, for the first line that is printed."""
        ...

    @property
    def timers_by_lease(self) -> bool:
        """Whether other processes may serve the same app, so that only one of them may run its timers."""
        ...

    async def binding(self) -> str:
        """The JSON of a durableClient binding, once the engine takes calls. EngineError where it does not."""
        ...

    def routes(self, call: Calls) -> Sequence[web.RouteDef]:
        """What the host serves for it, before any function's route. To be called on the running event loop."""
        ...

    async def stop_taking(self) -> None:
        """Take no more work; what runs may go on."""
        ...

    async def close(self) -> None:
        """End what still runs, within some seconds."""
        ...
