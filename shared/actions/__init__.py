"""What a module under `actions/` imports; the parts of a profile are loaded when one of their names is used."""

# ruff: noqa: F401
# pyright: reportUnusedImport=false
# Type checkers read the names here, the interpreter in the table below.
from typing import TYPE_CHECKING

from shared.lazy import exported

if TYPE_CHECKING:
    from shared.actions.arm.delegation import delegate_put
    from shared.actions.arm.lro_headers import (
        RESOURCE,
        ArmAsyncOperationHeader,
        ArmCombinedLroHeaders,
        ArmLroLocationHeader,
    )
    from shared.actions.arm.models import ArmTrackedResource, SystemData
    from shared.actions.arm.resource import ArmResource
    from shared.actions.attempt_context import ActionContext, Attempt, AttemptContext, SyncActionContext
    from shared.actions.calls import call
    from shared.actions.context import (
        Context,
        RemovalContext,
        RequestContext,
        ResourceTable,
        ResourceView,
    )
    from shared.actions.declaration import Action, action, read
    from shared.actions.delegation import Delegation
    from shared.actions.files import File, ResultFile, SyncResultFile
    from shared.actions.models import Content, Model, read_only, read_only_names
    from shared.actions.odata.entities import (
        ChangeRefused,
        Create,
        EntityChange,
        EntitySource,
        EntityStore,
        Remove,
        Stored,
        Update,
    )
    from shared.actions.odata.search import (
        SearchableSource,
        SearchAnd,
        SearchExpression,
        SearchNot,
        SearchOr,
        SearchText,
    )
    from shared.actions.odata.service import ODataService
    from shared.actions.patterns import Accepted
    from shared.actions.policies import Duration, Policies, PollingPolicies, Retry
    from shared.actions.sensitive import SENSITIVE
    from shared.actions.slices import ContinueLater
    from shared.actions.sweeps import sweep
    from shared.errors import (
        ActionCanceled,
        ActionFailed,
        DeclarationError,
        ErrorBody,
        ErrorDetail,
        RequestError,
        validation_error,
        wording,
    )
    from shared.model.ids import ID_PATTERN, is_valid_id
    from shared.model.operation import Progress
    from shared.model.updates import Canceled, CreatedOperation, Failed, Running, Succeeded

_MODULES = {
    "shared.actions.arm.delegation": "delegate_put",
    "shared.actions.arm.lro_headers": "ArmAsyncOperationHeader ArmCombinedLroHeaders ArmLroLocationHeader RESOURCE",
    "shared.actions.arm.models": "ArmTrackedResource SystemData",
    "shared.actions.arm.resource": "ArmResource",
    "shared.actions.calls": "call",
    "shared.actions.attempt_context": "ActionContext Attempt AttemptContext SyncActionContext",
    "shared.actions.context": "Context RemovalContext RequestContext ResourceTable ResourceView",
    "shared.actions.declaration": "Action action read",
    "shared.actions.delegation": "Delegation",
    "shared.actions.files": "File ResultFile SyncResultFile",
    "shared.actions.models": "Content Model read_only read_only_names",
    "shared.actions.odata.entities": "ChangeRefused Create EntityChange EntitySource EntityStore Remove Stored Update",
    "shared.actions.odata.search": "SearchAnd SearchExpression SearchNot SearchOr SearchText SearchableSource",
    "shared.actions.odata.service": "ODataService",
    "shared.actions.patterns": "Accepted",
    "shared.actions.policies": "Duration Policies PollingPolicies Retry",
    "shared.actions.sensitive": "SENSITIVE",
    "shared.actions.slices": "ContinueLater",
    "shared.actions.sweeps": "sweep",
    "shared.errors": (
        "ActionCanceled ActionFailed DeclarationError ErrorBody ErrorDetail RequestError validation_error wording"
    ),
    "shared.model.ids": "ID_PATTERN is_valid_id",
    "shared.model.operation": "Progress",
    "shared.model.updates": "Canceled CreatedOperation Failed Running Succeeded",
}

__getattr__ = exported(__name__, _MODULES, globals())
