"""Declaring a call: a POST that is answered at once, without an operation.

@call("presses:take-work-order", post="presses:take-work-order")
async def take_work_order(context: RequestContext) -> WorkOrder | None: ...
"""

from collections.abc import Awaitable, Callable
from typing import Any

from shared.actions.declaration import NAME, Read, answered_at_once
from shared.actions.parameters import ROUTE, decorator
from shared.actions.routes import Endpoint
from shared.frozen import frozen


@frozen(eq=False, slots=False)
class Call:
    """A synchronous POST. Calling it calls the handler."""

    declared: Read
    """Name, route, models and handler: a call's signature is a read's."""

    @property
    def name(self) -> str:
        return self.declared.name

    @property
    def where(self) -> str:
        return self.declared.where

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(self.declared.function_name, ("POST",), self.declared.route, self.where)

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return await self.declared(*args, **kwargs)


@decorator(name=NAME, post=ROUTE)
def call(name: str, *, post: str) -> Callable[[Callable[..., Awaitable[Any]]], Call]:
    """Declare an async function `(context, input) -> output` as the answer to `POST {post}`. Raises DeclarationError.

    Input fields come from the route and the JSON body. `None` is answered as 204. It refuses by raising RequestError.
    For what takes longer than a request may, declare an action instead.
    """

    def declare(handler: Callable[..., Awaitable[Any]]) -> Call:
        return Call(answered_at_once(name, post, handler))

    return declare
