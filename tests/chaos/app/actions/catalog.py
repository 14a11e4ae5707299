"""OData: an action, to be called at once, asynchronously and in batches."""

from pydantic import Field

import actions._steps as steps
from shared.actions import ActionContext, Model, ODataService

service = ODataService("Chaos")


class Turn(Model):
    seconds: float = Field(0, ge=0, le=60)


class Turned(Model):
    seconds: float


@service.action("Turn", timeout="60s", **steps.OFTEN)
async def turn(context: ActionContext, request: Turn) -> Turned:
    await steps.work(context, request.seconds)
    return Turned(seconds=request.seconds)
