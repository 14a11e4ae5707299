"""Runs an orchestrator function through the SDK: history in, what it asked for out.

This is the one place that knows internals of azure-functions-durable.
"""

import importlib
import json
import warnings
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import durabletask.internal.orchestrator_service_pb2 as pb

from local_host.durable.history import replay_events
from local_host.functions import AppFunction

_STATE_LABEL = "\n\n$OutOfProcData$:"
_SCHEMA_V2 = 1  # one flat list of actions; timers of any length stay whole


def prepare_sdk() -> None:
    """Adapt the SDK to a host that replays in this process; harmless when called twice.

    Its history events are read with python-dateutil, which takes three quarters of a replay; ours are plain ISO 8601.
    It also warns whenever an event arrives before the orchestrator waits for it, which is no mistake.
    """
    module = importlib.import_module("azure.durable_functions.models.history.HistoryEvent")
    if hasattr(module, "dt_parse"):
        module.dt_parse = datetime.fromisoformat  # pyright: ignore[reportAttributeAccessIssue]
    warnings.filterwarnings("ignore", message="Potential duplicate Task completion")


async def close_sdk() -> None:
    """Close the durable client's HTTP session, which the SDK keeps until the process ends."""
    module = importlib.import_module("azure.durable_functions.models.utils.http_utils")
    close = getattr(module, "_close_session", None)
    if close is not None:
        await close()


def replay(
    function: AppFunction,
    request: pb.OrchestratorRequest,
    parent_instance_id: str | None,
) -> Mapping[str, Any]:
    """Replay an orchestrator function; its failure comes back as `error` beside the actions, as the host reads it."""
    body = {
        "history": replay_events(request.pastEvents, request.newEvents),
        "input": _input(request.pastEvents, request.newEvents),
        "instanceId": request.instanceId,
        "isReplaying": len(request.pastEvents) > 0,
        "parentInstanceId": parent_instance_id,
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


def _input(*batches: Sequence[pb.HistoryEvent]) -> Any:
    """The input of this execution as a JSON value."""
    for batch in batches:
        for event in batch:
            if event.HasField("executionStarted"):
                text = event.executionStarted.input.value
                return json.loads(text) if text else None
    return None
