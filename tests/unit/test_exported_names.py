"""What modules under `actions/` may rely on, and the words that are stored or on the wire."""

from shared import actions
from shared.engine import durable
from shared.operations.model import Status


def test_what_actions_import() -> None:
    """The public names, sorted; taking one away breaks users' modules."""
    assert actions.__all__ == [
        "Accepted", "ActionCanceled", "ActionContext", "ActionFailed", "ArmAsyncOperationHeader",
        "ArmCombinedLroHeaders", "ArmLroLocationHeader", "ArmResource", "ArmTrackedResource", "Content", "ErrorDetail",
        "Model", "ODataService", "ReadContext", "RequestError", "Retry", "SystemData", "action", "call",
        "read", "read_only",
    ]  # fmt: skip
    assert actions.__all__ == sorted(actions.__all__)
    assert all(hasattr(actions, name) for name in actions.__all__)


def test_stored_words() -> None:
    """Status words and function names are stored in records and task hubs: never renamed."""
    assert [str(status) for status in Status] == [
        "NotStarted", "Running", "Canceling", "Succeeded", "Failed", "Canceled",
    ]  # fmt: skip
    assert (durable.ORCHESTRATOR, durable.ACTIVITY) == ("longRunningActionOrchestrator", "longRunningActions")
