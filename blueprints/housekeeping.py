"""The timer that restarts what was lost, ends what is overdue, and removes what has expired."""

import logging

import azure.durable_functions as df
import azure.functions as func

from shared.composition import Application
from shared.engine.durable import DurableEngine
from shared.errors import StorageError

_log = logging.getLogger(__name__)


def build(application: Application) -> df.Blueprint:
    blueprint = df.Blueprint()

    @blueprint.function_name("housekeeping")
    @blueprint.timer_trigger(
        arg_name="timer", schedule=application.settings_at_import.housekeeping_schedule, run_on_startup=True
    )
    @blueprint.durable_client_input(client_name="client")
    async def housekeeping(timer: func.TimerRequest, client: df.DurableOrchestrationClient) -> None:
        try:
            report = await application.housekeeping.run(DurableEngine(client))
        except* StorageError as errors:
            _log.warning("Housekeeping did not reach storage: %s", errors.exceptions[0])
        else:
            _log.log(logging.INFO if report.did_something else logging.DEBUG, "Housekeeping: %s", report)

    return blueprint
