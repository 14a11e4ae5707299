"""What a module under `actions/` imports."""

from shared.actions.arm import ArmResource
from shared.actions.arm_headers import ArmAsyncOperationHeader, ArmCombinedLroHeaders, ArmLroLocationHeader
from shared.actions.arm_models import ArmTrackedResource, SystemData, read_only
from shared.actions.calls import call
from shared.actions.context import ActionContext, ReadContext
from shared.actions.declaration import action, read
from shared.actions.models import Content, Model
from shared.actions.odata import ODataService
from shared.actions.patterns import Accepted
from shared.actions.policies import Retry
from shared.errors import ActionCanceled, ActionFailed, ErrorDetail, RequestError

__all__ = [
    "Accepted",
    "ActionCanceled",
    "ActionContext",
    "ActionFailed",
    "ArmAsyncOperationHeader",
    "ArmCombinedLroHeaders",
    "ArmLroLocationHeader",
    "ArmResource",
    "ArmTrackedResource",
    "Content",
    "ErrorDetail",
    "Model",
    "ODataService",
    "ReadContext",
    "RequestError",
    "Retry",
    "SystemData",
    "action",
    "call",
    "read",
    "read_only",
]
