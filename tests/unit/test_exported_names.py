"""What modules under `actions/` may rely on, and the words that are stored or on the wire."""

import ast
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from shared import actions, storage
from shared.engine import port
from shared.model.operation import Status
from tests.support.sources import syntax_tree

ROOT = Path(__file__).parents[2]


def test_what_actions_import() -> None:
    """The public names, sorted; taking one away breaks users' modules."""
    assert actions.__all__ == [
        "ID_PATTERN", "RESOURCE", "SENSITIVE", "Accepted", "Action", "ActionCanceled", "ActionContext",
        "ActionFailed", "ArmAsyncOperationHeader", "ArmCombinedLroHeaders", "ArmLroLocationHeader", "ArmResource",
        "ArmTrackedResource", "Attempt", "AttemptContext", "Canceled", "ChangeRefused", "Content", "Context",
        "ContinueLater", "Create", "CreatedOperation", "DeclarationError", "Delegation", "Duration", "EntityChange",
        "EntitySource", "EntityStore", "ErrorBody", "ErrorDetail", "Failed", "File", "Model", "ODataService",
        "Policies", "PollingPolicies", "Progress", "RemovalContext", "Remove", "RequestContext", "RequestError",
        "ResourceTable", "ResourceView", "ResultFile", "Retry", "Running", "SearchAnd", "SearchExpression",
        "SearchNot", "SearchOr", "SearchText", "SearchableSource", "Stored", "Succeeded",
        "SyncActionContext", "SyncResultFile", "SystemData", "Update", "action", "call", "delegate_put", "is_valid_id",
        "read", "read_only", "read_only_names", "sweep", "validation_error", "wording",
    ]  # fmt: skip


def test_what_the_domain_imports_of_storage() -> None:
    """Rows, blobs, and what writers need: no adapter."""
    assert storage.__all__ == [
        "MAX_CHANGES", "BlobInfo", "BlobReader", "Container", "Delete", "Insert", "Merge", "Replace",
        "Row", "Scalar", "Storage", "StorageAnswerLost", "StorageConflict", "StorageError", "StorageRefused",
        "StorageUnavailable", "Table", "Upsert", "backoff", "read_time", "row_pages", "write_once", "write_time",
    ]  # fmt: skip


@pytest.mark.parametrize("facade", [actions, storage], ids=lambda facade: facade.__name__)
def test_lazy_facades(facade: ModuleType) -> None:
    """A type checker and the interpreter find every public name in the same module, and no other name is there."""
    assert facade.__all__ == sorted(facade.__all__, key=lambda name: (not name.isupper(), name))
    tree = syntax_tree(Path(str(facade.__file__)).read_text())
    typed = {
        alias.name: statement.module
        for block in tree.body if isinstance(block, ast.If)
        for statement in block.body if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }  # fmt: skip
    assert sorted(typed) == sorted(facade.__all__)
    for name, module in typed.items():
        assert getattr(facade, name) is vars(sys.modules[str(module)])[name]
    with pytest.raises(AttributeError, match="'nothing'"):
        facade.nothing  # noqa: B018


LOADED = """
import sys
import types

package = types.ModuleType("declared_here")
package.__path__ = [sys.argv[1]]
sys.modules["declared_here"] = package
from shared.actions import {names}
from shared.actions.registry import discover

assert list(discover(package).actions) == ["one"]
print(*sorted(name for name in sys.modules if name.startswith("shared.")))
"""

MODULE = """
from shared.actions import ActionContext, action


@action("one", post="one")
async def one(context: ActionContext) -> None: ...
"""


@pytest.mark.parametrize(
    ("names", "absent"),
    [
        ("action", ("shared.actions.arm", "shared.actions.odata")),
        ("ArmResource", ("shared.actions.odata",)),
        ("ODataService", ("shared.actions.arm",)),
    ],
)
def test_profiles_are_loaded_where_they_are_used(names: str, absent: tuple[str, ...], tmp_path: Path) -> None:
    """An app of the data plane loads neither ARM nor OData, an ARM app no OData, and none of them what runs it."""
    (tmp_path / "declared.py").write_text(MODULE)
    line = [sys.executable, "-c", LOADED.format(names=names), str(tmp_path)]
    loaded = subprocess.run(line, capture_output=True, text=True, check=True, cwd=ROOT, timeout=60).stdout.split()
    assert "shared.actions.declaration" in loaded
    assert [name for name in loaded if name.startswith((*absent, "shared.operations", "shared.contracts"))] == []
    assert {name for name in loaded if name.startswith("shared.storage")} <= {"shared.storage", "shared.storage.ports"}


def test_stored_words() -> None:
    """Status words and function names are stored in records and task hubs: never renamed."""
    assert [str(status) for status in Status] == [
        "NotStarted", "Running", "Canceling", "Succeeded", "Failed", "Canceled",
    ]  # fmt: skip
    assert (port.ORCHESTRATOR, port.ACTIVITY) == ("longRunningActionOrchestrator", "longRunningActions")
