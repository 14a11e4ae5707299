"""Declaring a sweep: work of the app that every pass of housekeeping does, such as removing what a crash has left.

@sweep("books:leftovers")
async def clear_leftovers(context: Context) -> None: ...
"""

from collections.abc import Callable
from typing import Any

from shared.actions.context import Context
from shared.actions.declaration import NAME
from shared.actions.hooks import Hook, hook
from shared.actions.parameters import decorator, where_of
from shared.frozen import frozen


@frozen(kw_only=True, eq=False, slots=False)
class Sweep:
    """Work of every pass of housekeeping. Calling it does it."""

    name: str
    function: Hook
    where: str

    async def __call__(self, context: Context) -> None:
        await self.function(context)


@decorator(name=NAME)
def sweep(name: str) -> Callable[[Callable[..., Any]], Sweep]:
    """Declare an async function `([context: Context]) -> None` as a step of every pass of housekeeping.

    A pass comes every two minutes in Azure (`HOUSEKEEPING_SCHEDULE`). It gives a sweep 10 s, so a sweep goes on in
    bounded steps, and costs little where there is nothing to do. One that fails is logged and runs again with the next
    pass. `context.owner` is empty. Raises DeclarationError.
    """

    def declare(function: Callable[..., Any]) -> Sweep:
        return Sweep(name=name, function=hook(function, inputs=0, context=Context), where=where_of(function))

    return declare
