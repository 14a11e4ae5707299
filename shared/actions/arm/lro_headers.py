"""The three header models of ARM long-running operations, named and defaulted as in TypeSpec.

Azure/typespec-azure, "Customizing Long-Running Operations": `ArmAsyncOperationHeader` (default of PUT),
`ArmLroLocationHeader` (default of PATCH, DELETE and POST), `ArmCombinedLroHeaders`; each with a `FinalResult`.
"""

import typing
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar

from shared.actions.parameters import RETRY_AFTER as PACE
from shared.actions.parameters import Rule, checked_fields

RETRY_AFTER = 10
"""Seconds between polls, at least, unless declared (ARM RPC, "202 Accepted and Location Headers": 10 to 600)."""


class FinalResult(Enum):
    """What is no model of its own."""

    RESOURCE = "the resource"
    AS_DECLARED = "what the handler returns"


RESOURCE = FinalResult.RESOURCE


def _is_result(value: Any) -> bool:
    return value is None or isinstance(value, FinalResult | type) or typing.get_origin(value) is not None


@checked_fields(
    final_result=Rule("what a handler returns", ("RESOURCE", "MigrationResult", "None"), _is_result),
    retry_after=Rule(PACE.kind, PACE.forms, lambda value: value is None or PACE.fits(value)),
)
@dataclass(frozen=True, kw_only=True)
class LroHeaders:
    """`final_result` is RESOURCE, a response model, or None for nothing; it must be what the handler returns.

    `retry_after` is a pace of polls, in whole seconds, at least 1; None for polls when the end is likely, after 10
    seconds at the earliest. Raises DeclarationError.
    """

    final_result: Any = FinalResult.AS_DECLARED
    retry_after: int | None = None
    async_operation: ClassVar[bool]
    location: ClassVar[bool]

    @property
    def shortest_wait(self) -> int:
        """Seconds between polls."""
        return self.retry_after or RETRY_AFTER


class ArmAsyncOperationHeader(LroHeaders):
    """`Azure-AsyncOperation`: the URL of the operation's status."""

    async_operation = True
    location = False


class ArmLroLocationHeader(LroHeaders):
    """`Location`: the URL that answers 202 until it answers as a synchronous call would have."""

    async_operation = False
    location = True


class ArmCombinedLroHeaders(LroHeaders):
    """Both: clients poll `Azure-AsyncOperation` and may fetch the final result from `Location`."""

    async_operation = True
    location = True


LRO_HEADERS = Rule(
    "a header model",
    ("ArmAsyncOperationHeader()", "ArmLroLocationHeader(retry_after=10)", "ArmCombinedLroHeaders()"),
    lambda value: isinstance(value, LroHeaders) and type(value) is not LroHeaders,
)
