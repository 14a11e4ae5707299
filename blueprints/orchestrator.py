"""`longRunningActionOrchestrator`: passes its input through to the activity until nothing is left to do.

Nothing else may happen here: an orchestrator is replayed, so any change of its steps breaks what is under way.
"""

# The SDK's orchestration decorator is not typed.
# pyright: reportUntypedFunctionDecorator=false

from collections.abc import Generator
from datetime import datetime, timedelta
from typing import Any

from blueprints.durable import Blueprint, OrchestrationContext
from shared.engine.port import ACTIVITY, ORCHESTRATOR

ROUNDS = 20
"""Calls of the activity before the history starts anew."""

_AFTER_FAILURE = timedelta(seconds=15)

_TIMER_EARLY = timedelta(seconds=1)
"""The Azure Storage backend delays a timer by whole seconds, cut off: it fires up to a second early. An activity
that is called early names the same time once more, round after round."""


def pass_through(context: OrchestrationContext) -> Generator[Any, Any, None]:
    """Call the activity; where it names a time, or fails, sleep on a durable timer and call it again.

    The failure is caught here because `call_activity_with_retry` leaves a timer behind. Waking early is harmless.
    """
    work = context.get_input()
    for _ in range(ROUNDS):
        try:
            again = yield context.call_activity(ACTIVITY, work)
        except Exception:
            due = context.current_utc_datetime + _AFTER_FAILURE
        else:
            if again is None:
                return
            due = datetime.fromisoformat(again)
            if due <= context.current_utc_datetime:
                continue  # The next slice: a timer would only cost it time.
            due += _TIMER_EARLY
        yield context.create_timer(due)
    context.continue_as_new(work)


def build() -> Blueprint:
    blueprint = Blueprint()

    @blueprint.function_name(ORCHESTRATOR)
    @blueprint.orchestration_trigger(context_name="context")
    def orchestrator(context):  # pyright: ignore
        yield from pass_through(context)

    return blueprint
