"""The adapter of azure-functions-durable, and the only file that imports it: 1.x names, which 2.x deprecates, end here.

It has the classes that the blueprints declare functions with, what the orchestrator uses of its context, and the engine
port on the client. docs/decisions/0016-versions-of-the-sdks.md says what 2.x changes.

The client is handed to a function by its `durableClient` binding, so an engine lives as long as one invocation.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from typing import Any, Protocol

from azure.durable_functions import Blueprint, DFApp, DurableOrchestrationClient

from shared.engine.port import ORCHESTRATOR, Work
from shared.errors import EngineError

CALL_WITHIN = 8.0
"""Seconds for a call together with looking after it: callers have ten."""

__all__ = ["CALL_WITHIN", "Blueprint", "DFApp", "DurableEngine", "OrchestrationContext", "durable_client"]

_FINISHED = frozenset({"Completed", "Failed", "Terminated", "Canceled"})


class OrchestrationContext(Protocol):
    """The part of DurableOrchestrationContext used here."""

    @property
    def current_utc_datetime(self) -> datetime: ...

    def get_input(self) -> Any: ...

    def call_activity(self, name: str, input_: Any = None) -> Any: ...

    def create_timer(self, fire_at: datetime) -> Any: ...

    def continue_as_new(self, input_: Any) -> None: ...


class DurableClient(Protocol):
    """The part of DurableOrchestrationClient used here."""

    async def start_new(
        self, orchestration_function_name: str, instance_id: str | None = None, client_input: Any = None
    ) -> str: ...

    async def get_status(self, instance_id: str) -> Any: ...

    async def purge_instance_history(self, instance_id: str) -> Any: ...

    async def terminate(self, instance_id: str, reason: str) -> None: ...


def durable_client(blueprint: Blueprint) -> Callable[..., Any]:
    """A decorator: the function is given `client`, the JSON that a `DurableEngine` makes its client of.

    The SDK's own decorator makes one for every invocation, and most polls need none.
    """
    return blueprint.generic_input_binding(arg_name="client", type="durableClient")


class DurableEngine:
    """Starts, looks up and forgets orchestrations through the binding's client."""

    def __init__(self, client: DurableClient | str, *, within: float = CALL_WITHIN) -> None:
        """`client`: also as the JSON of the binding."""
        self._given = client
        self._within = within

    @cached_property
    def _client(self) -> DurableClient:
        return DurableOrchestrationClient(self._given) if isinstance(self._given, str) else self._given

    async def start(self, instance_id: str, work: Work) -> None:
        until = asyncio.get_running_loop().time() + self._within
        try:
            async with asyncio.timeout_at(until):
                await self._client.start_new(ORCHESTRATOR, instance_id, str(work))
        except Exception as error:
            # start_new raises a bare Exception for every failure; a live instance of this id is one of them.
            if await self._is_live_after(error, instance_id, until):
                return
            raise EngineError(f"Durable Functions did not start {instance_id}: {error}") from error

    async def is_live(self, instance_id: str) -> bool:
        return await self._is_live(instance_id, asyncio.get_running_loop().time() + self._within)

    async def purge(self, instance_id: str) -> bool:
        until = asyncio.get_running_loop().time() + self._within
        try:
            async with asyncio.timeout_at(until):
                await self._client.purge_instance_history(instance_id)
        except Exception as error:
            # An instance that has not ended is refused (412): the client raises a bare Exception for that, too.
            if await self._is_live_after(error, instance_id, until):
                return False
            raise EngineError(f"Durable Functions did not purge {instance_id}: {error}") from error
        return True

    async def terminate(self, instance_id: str) -> None:
        until = asyncio.get_running_loop().time() + self._within
        try:
            async with asyncio.timeout_at(until):
                await self._client.terminate(instance_id, "Its operation has been removed")
        except Exception as error:
            # An instance that nobody knows is refused, too.
            if await self._is_live(instance_id, until):
                raise EngineError(f"Durable Functions did not terminate {instance_id}: {error}") from error

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
