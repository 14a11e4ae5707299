"""What an application is put together from, each loaded when the first of its names is used.

So importing the app pays for its declarations, and a first request for what serves it.
"""

# ruff: noqa: F401
# pyright: reportUnusedImport=false
# Type checkers read the names here, the interpreter in the table below.
from typing import TYPE_CHECKING

from shared.lazy import exported

if TYPE_CHECKING:
    from shared.actions.arm.delegation import completed
    from shared.actions.context import Context, Services
    from shared.actions.odata.routes import BATCH_ACTION
    from shared.contracts.headers import check_platform_auth
    from shared.contracts.http import Request
    from shared.endpoints.admission import Admission
    from shared.endpoints.arm.delegation import Delegations
    from shared.endpoints.arm.monitors import ArmMonitors
    from shared.endpoints.arm.routes import Arm
    from shared.endpoints.boundary import answer
    from shared.endpoints.dataplane.calls import Calls
    from shared.endpoints.dataplane.routes import DataPlane
    from shared.endpoints.dataplane.updates import Updates
    from shared.endpoints.description import Description
    from shared.endpoints.docs_files import docs_files
    from shared.endpoints.health import Health
    from shared.endpoints.odata.service import OData
    from shared.endpoints.operations_ui import OperationsPage
    from shared.endpoints.pauses import PauseSwitch
    from shared.endpoints.unknown import Unknown
    from shared.engine.port import Work
    from shared.model.times import write_time
    from shared.operations.after_end import DeclaredAfterEnd
    from shared.operations.attempt import LiveAttempts
    from shared.operations.external import ExternalOperations
    from shared.operations.handler_places import WaitingRoom
    from shared.operations.handler_processes import HandlerProcesses
    from shared.operations.handler_threads import HandlerThreads
    from shared.operations.housekeeping import Housekeeping
    from shared.operations.inline import InlineRuns
    from shared.operations.invocations import Invocation, InvocationThreads
    from shared.operations.lists import OperationLists
    from shared.operations.lock_sweep import LockSweep
    from shared.operations.locks import Locks
    from shared.operations.pacing import Pacing
    from shared.operations.pauses import Pause, Pauses
    from shared.operations.records import OperationRecords
    from shared.operations.recovery import Recovery
    from shared.operations.removal import Removals
    from shared.operations.runner import Runner
    from shared.operations.schema import check_schema
    from shared.operations.service import OperationService
    from shared.operations.site import Site, SiteName
    from shared.operations.stopping import Stopping
    from shared.operations.usable_cores import usable_cores
    from shared.resources.operations import ResourcesById, roll_forward
    from shared.resources.service import Resources
    from shared.storage.factory import open_storage
    from shared.telemetry import continued

_MODULES = {
    "shared.actions.arm.delegation": "completed",
    "shared.actions.context": "Context Services",
    "shared.actions.odata.routes": "BATCH_ACTION",
    "shared.contracts.headers": "check_platform_auth",
    "shared.contracts.http": "Request",
    "shared.endpoints.admission": "Admission",
    "shared.endpoints.arm.delegation": "Delegations",
    "shared.endpoints.arm.monitors": "ArmMonitors",
    "shared.endpoints.arm.routes": "Arm",
    "shared.endpoints.boundary": "answer",
    "shared.endpoints.dataplane.calls": "Calls",
    "shared.endpoints.dataplane.routes": "DataPlane",
    "shared.endpoints.dataplane.updates": "Updates",
    "shared.endpoints.description": "Description",
    "shared.endpoints.docs_files": "docs_files",
    "shared.endpoints.health": "Health",
    "shared.endpoints.odata.service": "OData",
    "shared.endpoints.operations_ui": "OperationsPage",
    "shared.endpoints.pauses": "PauseSwitch",
    "shared.endpoints.unknown": "Unknown",
    "shared.engine.port": "Work",
    "shared.model.times": "write_time",
    "shared.operations.after_end": "DeclaredAfterEnd",
    "shared.operations.attempt": "LiveAttempts",
    "shared.operations.external": "ExternalOperations",
    "shared.operations.handler_places": "WaitingRoom",
    "shared.operations.handler_processes": "HandlerProcesses",
    "shared.operations.handler_threads": "HandlerThreads",
    "shared.operations.housekeeping": "Housekeeping",
    "shared.operations.inline": "InlineRuns",
    "shared.operations.invocations": "Invocation InvocationThreads",
    "shared.operations.lists": "OperationLists",
    "shared.operations.lock_sweep": "LockSweep",
    "shared.operations.locks": "Locks",
    "shared.operations.pacing": "Pacing",
    "shared.operations.pauses": "Pause Pauses",
    "shared.operations.records": "OperationRecords",
    "shared.operations.recovery": "Recovery",
    "shared.operations.removal": "Removals",
    "shared.operations.runner": "Runner",
    "shared.operations.schema": "check_schema",
    "shared.operations.service": "OperationService",
    "shared.operations.site": "Site SiteName",
    "shared.operations.stopping": "Stopping",
    "shared.operations.usable_cores": "usable_cores",
    "shared.resources.operations": "ResourcesById roll_forward",
    "shared.resources.service": "Resources",
    "shared.storage.factory": "open_storage",
    "shared.telemetry": "continued",
}

__getattr__ = exported(__name__, _MODULES, globals())


def load(*names: str) -> None:
    """Load parts before they are used."""
    for name in names:
        __getattr__(name)
