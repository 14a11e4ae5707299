"""Operators: callers whose roles let them act on the operations of all owners. Every such act is logged.

Keys are made of owner and id, so an operator's URL names the owner: `owner={hash}`. To everybody else that parameter
means what it always has: nothing on a monitor, and on a list an unknown one.
"""

import logging
import re
from collections.abc import Mapping

from shared.contracts.caller import Caller
from shared.contracts.http import Request
from shared.errors import RequestError
from shared.model.ids import Locator
from shared.operations.log_lines import about
from shared.operations.service import OperationService, not_found

_log = logging.getLogger(__name__)

READ, READ_RESULT, CANCEL, DELETE, RETRY = "read", "read the result", "cancel", "delete", "run again"
"""Acts, as the log names them."""

OWNER = "owner"
EVERYBODY = "*"
_OWNER_HASH = re.compile(r"[0-9a-f]{16}")


def owner_hash_in(query: Mapping[str, str]) -> str | None:
    return next((value for name, value in query.items() if name.lower() == OWNER), None)


class Operators:
    """Whose operation a request is about, and what an operator did."""

    def __init__(self, service: OperationService) -> None:
        self._service = service

    async def owner(self, request: Request, caller: Caller, operation_id: str, act: str) -> str:
        """Of the operation that a monitor's URL names, for who may do this to those of others: the one that it says.

        Raises RequestError 404 where that owner has no such operation.
        """
        named = owner_hash_in(request.query)
        if named is None or named == Locator.of(caller.owner, operation_id).owner_hash:
            return caller.owner
        if not _OWNER_HASH.fullmatch(named):
            raise not_found(operation_id)
        operation = await self._service.find(Locator(named, operation_id))
        line = about(_log, operation, "operator_act")
        line.info("An operator acts on it: %s (%s)", act, caller.owner, extra={"act": act, "operator": caller.owner})
        return operation.owner

    def listed(self, request: Request, caller: Caller) -> tuple[str | None, str]:
        """Whose operations a list shows, by hash, None for everybody's; and the parameter that says so, or nothing.

        Raises RequestError 400 for one that cannot be.
        """
        own = Locator.of(caller.owner, "x").owner_hash
        named = owner_hash_in(request.query)
        if not caller.may_read_all or named is None:
            return own, ""
        if named != EVERYBODY and not _OWNER_HASH.fullmatch(named):
            message = f"{OWNER} is {EVERYBODY} for everybody's operations, or 16 hex digits from a row of that list."
            raise RequestError(400, "InvalidOwner", message, target=OWNER)
        if named != own:
            fields = {"event": "operator_act", "act": "list", "operator": caller.owner}
            _log.info("An operator lists operations of %s (%s)", named, caller.owner, extra=fields)
        return (None if named == EVERYBODY else named), named
