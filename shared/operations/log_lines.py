"""What a log line says of the operation that it is about.

    about(_log, operation, "attempt_began").info("Attempt began")

    operation_id=0b9e... action=book:upload-finish attempt=2: Attempt began

The platform's worker sends the text of a line and nothing of its `extra`, so both have the operation.
"""

import logging
import re
from collections.abc import MutableMapping
from typing import Any

from shared.model.ids import Locator
from shared.model.operation import Operation

_IN_TEXT = ("operation_id", "action", "attempt")
_NOT_IN_A_WORD = re.compile(r"[^\w:./-]")
"""Above all spaces, line breaks and `%`: the kind of a delegated operation may be any text."""


class OperationLogger(logging.LoggerAdapter[logging.Logger]):
    """Puts the operation before every line, and into its fields."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        fields = dict(self.extra or {})
        words = (f"{name}={_NOT_IN_A_WORD.sub('_', str(fields[name]))}" for name in _IN_TEXT if name in fields)
        return f"{' '.join(words)}: {msg}", {**kwargs, "extra": {**fields, **(kwargs.get("extra") or {})}}


def about(log: logging.Logger, subject: Operation | Locator, event: str) -> OperationLogger:
    """`log` for a line about one operation; its locator does where its record is not at hand. `event` is a field."""
    fields: dict[str, Any] = {"event": event, "operation_id": subject.id}
    if isinstance(subject, Operation):
        fields |= {"action": subject.action, "attempt": subject.attempt, "status": subject.status.value}
    return OperationLogger(log, fields)
