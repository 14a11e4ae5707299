"""Runs an orchestrator function through the SDK: history in, its actions so far out.

This is the one place that knows internals of azure-functions-durable.
"""

import importlib
import json
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any

from local_host.durable.hub import Execution
from local_host.functions import AppFunction

_STATE_LABEL = "\n\n$OutOfProcData$:"
_SCHEMA_V2 = 1  # one flat list of actions; timers of any length stay whole


def prepare_sdk() -> None:
    """Adapt the SDK to a host that replays in this process; harmless when called twice.

    Its history events are read with python-dateutil, which takes three quarters of a replay; ours are plain ISO 8601.
    Of what is left half goes into a class that each replay compiles anew.
    """
    module = importlib.import_module("azure.durable_functions.models.history.HistoryEvent")
    if hasattr(module, "dt_parse"):
        module.dt_parse = datetime.fromisoformat  # pyright: ignore[reportAttributeAccessIssue]
    module = importlib.import_module("azure.durable_functions.models.TaskOrchestrationExecutor")
    if hasattr(module, "namedtuple") and not hasattr(module.namedtuple, "cache_info"):
        module.namedtuple = cache(module.namedtuple)  # pyright: ignore[reportAttributeAccessIssue]


async def close_sdk() -> None:
    """Close the durable client's HTTP session, which the SDK keeps until the process ends."""
    module = importlib.import_module("azure.durable_functions.models.utils.http_utils")
    close = getattr(module, "_close_session", None)
    if close is not None:
        await close()


def replay(function: AppFunction, instance_id: str, execution: Execution) -> Mapping[str, Any]:
    """Replay an orchestrator function; its failure comes back as `error` beside the actions, as the host reads it."""
    body = {
        "history": [*execution.history, *execution.inbox],
        "input": execution.input,
        "instanceId": instance_id,
        "isReplaying": bool(execution.history),
        "parentInstanceId": None,
        "upperSchemaVersion": _SCHEMA_V2,
    }
    try:
        answer = function.call(**{function.argument: json.dumps(body)})
    except Exception as error:
        message, label, state = str(error).partition(_STATE_LABEL)
        if label:
            return json.loads(state)
        return {"isDone": False, "actions": [], "error": message or type(error).__name__}
    return json.loads(answer)
