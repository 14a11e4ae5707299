"""`longRunningActions`: the activity that runs one attempt of an operation."""

import azure.durable_functions as df

from shared.composition import Application
from shared.engine.durable import ACTIVITY
from shared.engine.port import Work
from shared.operations.rows import write_time


def build(application: Application) -> df.Blueprint:
    blueprint = df.Blueprint()

    @blueprint.function_name(ACTIVITY)
    @blueprint.activity_trigger(input_name="work")
    async def dispatcher(work: str):  # pyright: ignore - an unannotated result is what the activity binding takes
        again = await application.runner.run(Work.parse(work))
        return write_time(again) if again else None

    return blueprint
