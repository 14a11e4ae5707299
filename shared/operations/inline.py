"""Running an operation inside the request that asked for it, or inside the activity of another operation.

It is recorded, claimed, run and ended like any other, by the same runner; only no orchestration is started for it.
Where the process dies, housekeeping finds a record without a live attempt and has it run by the engine.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from shared.engine.port import Work
from shared.errors import StorageError
from shared.model.operation import Operation
from shared.model.timing import Clock, Timing
from shared.operations.attempt import LiveAttempts
from shared.operations.runner import Runner
from shared.operations.service import OperationService, StartRequest
from shared.operations.tasks import ends_within


class _Here:
    """An engine that leaves the work to whoever starts it."""

    async def start(self, instance_id: str, work: Work) -> None:
        """Nothing: the caller runs it."""

    async def is_live(self, instance_id: str) -> bool:
        """A replay of a start is run here as well, so no other generation is needed."""
        return True

    async def purge(self, instance_id: str) -> bool:
        """There was none."""
        return True


class InlineRuns:
    """Starts an operation and runs it here."""

    def __init__(
        self, service: OperationService, runner: Runner, live: LiveAttempts, *, clock: Clock, timing: Timing
    ) -> None:
        self._service = service
        self._runner = runner
        self._live = live
        self._clock = clock
        self._timing = timing

    async def run(
        self, request: StartRequest, *, seconds: float, is_canceled: Callable[[], bool] = lambda: False
    ) -> Operation:
        """The operation once it has ended; after `seconds` it is canceled and given back as it is then.

        Raises RequestError as `OperationService.begin` does. Where the caller is cancelled, the operation is canceled
        too if `is_canceled` says that somebody wants that; otherwise the process stops, and it is left to the engine.
        """
        until = self._clock.monotonic() + seconds
        operation = await self._service.start(request, _Here())
        if operation.status.is_terminal:
            return operation
        with self._live.completions.subscribe(operation.locator) as waiter:
            work = asyncio.create_task(self._attempts(operation), name=f"inline {operation.id}")
            try:
                if not await ends_within(work, until - self._clock.monotonic(), self._clock):
                    operation = await self._service.cancel(operation.owner, operation.id)
                    await self._let_go(work)
            except asyncio.CancelledError:
                if is_canceled():
                    with suppress(StorageError):
                        await asyncio.shield(self._service.cancel(operation.owner, operation.id))
                        await self._let_go(work)
                raise
            finally:
                await _stop(work)
            if work.done() and not work.cancelled() and (error := work.exception()):
                raise error
            if waiter.ended is not None and waiter.ended.run_id == operation.run_id:
                return waiter.ended
        operation = await self._service.get(operation.owner, operation.id)
        return await self._service.wait(operation, max(0.0, until - self._clock.monotonic()))

    async def _attempts(self, operation: Operation) -> None:
        """One attempt after the other, until it has ended or somebody else has it."""
        again = await self._runner.run(Work.of(operation))
        while again is not None:
            await self._clock.sleep(max(0.0, (again - self._clock.now()).total_seconds()))
            again = await self._runner.run(Work.of(operation))

    async def _let_go(self, work: asyncio.Task[None]) -> None:
        """Give an attempt whose operation was canceled the time it has to stop."""
        await ends_within(work, self._timing.cancel_grace, self._clock)


async def _stop(work: asyncio.Task[None]) -> None:
    if not work.done():
        work.cancel()
        await asyncio.wait({work})
