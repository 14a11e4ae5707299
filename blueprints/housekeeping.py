"""The timer that restarts what was lost, ends what is overdue, and removes what has expired."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import azure.functions as func

from blueprints.durable import Blueprint, DurableEngine, durable_client
from shared.contracts.functions import HOUSEKEEPING
from shared.errors import SettingsError, StorageError

if TYPE_CHECKING:
    from shared.engine.port import Engine
    from shared.operations.housekeeping import Housekeeping


_log = logging.getLogger(__name__)


def build(schedule: str, housekeeping_of: "Callable[[], Housekeeping]") -> Blueprint:
    """`schedule`: NCRONTAB."""
    blueprint = Blueprint()

    @blueprint.function_name(HOUSEKEEPING)
    @blueprint.timer_trigger(arg_name="timer", schedule=schedule)
    @durable_client(blueprint)
    async def housekeeping(timer: func.TimerRequest, client: str) -> None:
        await run_pass(housekeeping_of, DurableEngine(client))

    return blueprint


async def run_pass(housekeeping_of: "Callable[[], Housekeeping]", engine: "Engine") -> None:
    """One pass, told in a line of the log. It comes again and again, so what is wrong is a line, too."""
    try:
        report = await housekeeping_of().run(engine)
    except* StorageError as errors:
        _log.warning("Housekeeping did not reach storage: %s", _first(errors))
    except* SettingsError as errors:
        _log.error("The app is not configured: %s", _first(errors))
    else:
        _log.log(logging.INFO if report.did_something else logging.DEBUG, "Housekeeping: %s", report)


def _first(error: BaseException) -> BaseException:
    """What tasks side by side have failed with is a group in groups; one line is enough for all."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
