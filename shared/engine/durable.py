"""The engine port on Durable Functions: the only code that knows azure-functions-durable's client.

The client is handed to a function by its `durableClient` binding, so an engine lives as long as one invocation.
"""

import asyncio
from typing import Any, Protocol

from shared.engine.port import Work
from shared.errors import EngineError

ORCHESTRATOR = "longRunningActionOrchestrator"
ACTIVITY = "longRunningActions"
"""Names stored in every task hub: renaming one breaks what is under way."""

_TIMEOUT = 8.0
_FINISHED = frozenset({"Completed", "Failed", "Terminated", "Canceled"})


class DurableClient(Protocol):
    """The part of DurableOrchestrationClient used here."""

    async def start_new(
        self, orchestration_function_name: str, instance_id: str | None = None, client_input: Any = None
    ) -> str: ...

    async def get_status(self, instance_id: str) -> Any: ...


class DurableEngine:
    """Starts and looks up orchestrations through the binding's client."""

    def __init__(self, client: DurableClient) -> None:
        self._client = client

    async def start(self, instance_id: str, work: Work) -> None:
        until = asyncio.get_running_loop().time() + _TIMEOUT
        try:
            async with asyncio.timeout_at(until):
                await self._client.start_new(ORCHESTRATOR, instance_id, str(work))
        except Exception as error:
            # start_new raises a bare Exception for every failure; a live instance of this id is one of them.
            if await self._is_live_after(error, instance_id, until):
                return
            raise EngineError(f"Durable Functions did not start {instance_id}: {error}") from error

    async def is_live(self, instance_id: str) -> bool:
        return await self._is_live(instance_id, asyncio.get_running_loop().time() + _TIMEOUT)

    async def _is_live(self, instance_id: str, until: float) -> bool:
        try:
            async with asyncio.timeout_at(until):
                status = await self._client.get_status(instance_id)
        except Exception as error:
            raise EngineError(f"Durable Functions did not answer for {instance_id}: {error}") from error
        # An unknown instance is a status object that is false.
        return bool(status) and _word(status) not in _FINISHED

    async def _is_live_after(self, error: Exception, instance_id: str, until: float) -> bool:
        if isinstance(error, TimeoutError | OSError):
            return False
        try:
            return await self._is_live(instance_id, until)
        except EngineError:
            return False


def _word(status: Any) -> str:
    word = status.runtime_status
    return str(getattr(word, "value", word))
