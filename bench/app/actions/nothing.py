"""An action that does nothing: what is left is the cost of an operation."""

import asyncio

from shared.actions import ActionContext, Model, action


class Nothing(Model):
    id: str


@action("nothing:do", post="nothing/{id}:do")
async def do_nothing(context: ActionContext, request: Nothing) -> None:
    return None


@action("nothing:wait", post="nothing/{id}:wait")
async def wait(context: ActionContext, request: Nothing) -> None:
    await asyncio.sleep(600)
