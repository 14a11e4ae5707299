"""Handlers and helpers of the tests of attempts."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from shared.actions import ActionContext, Model
from shared.frozen import replace
from shared.model import lifecycle
from shared.model.leases import by_nobody
from shared.model.operation import Operation
from tests.support.parts import Input, World


class Output(Model):
    """What a handler here returns."""

    file_name: str


async def echo(context: ActionContext, request: Input) -> Output:
    return Output(file_name=request.file_name)


async def forever(context: ActionContext, request: Input) -> None:
    await asyncio.sleep(30)


def error_code(operation: Operation) -> str | None:
    return operation.outcome.error.code if operation.outcome and operation.outcome.error else None


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what is waited for is in a thread or in the store
            await asyncio.sleep(0.005)


async def begun(world: World) -> None:
    """An attempt is under way: its claim is stored, and its heartbeat waits for its time."""
    await until(lambda: world.timing.heartbeat in world.clock.waits)


async def claim_elsewhere(world: World, operation: Operation, *, after: float = 0) -> Operation:
    """Another instance, whose clock is `after` seconds ahead, claims the operation and dies."""
    stored = await world.read(operation)
    now, leases = world.clock.now() + timedelta(seconds=after), replace(world.records.leases, held_here=by_nobody)
    return await world.records.change(
        stored,
        lambda o: lifecycle.claim(o, now, holder="elsewhere", timeout=timedelta(minutes=5), leases=leases),
    )
