"""What a module under `actions/` imports."""

from shared.actions.context import ActionContext, ReadContext
from shared.actions.declaration import action, read
from shared.actions.models import Model
from shared.actions.policies import Retry
from shared.errors import ActionCanceled, ActionFailed, ErrorDetail, RequestError

__all__ = [
    "ActionCanceled",
    "ActionContext",
    "ActionFailed",
    "ErrorDetail",
    "Model",
    "ReadContext",
    "RequestError",
    "Retry",
    "action",
    "read",
]
