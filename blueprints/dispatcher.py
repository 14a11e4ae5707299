"""`longRunningActions`: the activity that runs one attempt of an operation."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import azure.functions as func

from blueprints.durable import Blueprint
from blueprints.invocations import invocation_of
from shared import parts
from shared.engine.port import ACTIVITY, Work

if TYPE_CHECKING:
    from shared.operations.runner import Runner


def build(runner: "Callable[[], Runner]") -> Blueprint:
    blueprint = Blueprint()

    @blueprint.function_name(ACTIVITY)
    @blueprint.activity_trigger(input_name="work")
    async def dispatcher(work: str, context: func.Context):  # pyright: ignore - the binding takes no annotated result
        with invocation_of(context).entered():
            again = await runner().run(Work.parse(work))
        return parts.write_time(again) if again else None

    return blueprint
