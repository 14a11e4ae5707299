"""Handlers and helpers of the tests of attempts."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from shared.actions import ActionContext, Model
from shared.operations import lifecycle
from shared.operations.model import Operation
from tests.unit.parts import Input, World


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
    async with asyncio.timeout(3):
        while not condition():  # noqa: ASYNC110 - what is waited for is in a thread or in the store
            await asyncio.sleep(0.005)


async def claim_elsewhere(world: World, operation: Operation) -> Operation:
    """Another instance claims the operation and dies."""
    stored = await world.read(operation)
    length = timedelta(minutes=5)
    return await world.records.change(
        stored, lambda o: lifecycle.claim(o, world.clock(), holder="elsewhere", timeout=length)
    )
