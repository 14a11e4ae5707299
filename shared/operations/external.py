"""Operations that are driven from elsewhere: created without a handler, moved on by updates.

    created = await operations().create(kind="press:set-up", owner=context.owner)
    ...
    await operations().update(context.owner, created.operation.id, Succeeded({"pages": 12}))

Another system updates over HTTP, with the secret that `create` returns once (shared/endpoints/external.py). Such an
operation is never claimed and holds no lease; it ends by an update, by a cancel, or at its deadline.
"""

import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

from pydantic_core import to_json

from shared.actions.policies import Duration, duration
from shared.errors import FenceLost, RequestError, StorageConflict, StorageError, TransitionError
from shared.operations import external_secret, external_updates, lifecycle
from shared.operations.external_updates import Canceled, Failed, Running, Succeeded, Update
from shared.operations.follow_up import AfterEnd, follow_up, log_fields
from shared.operations.handler_runs import bounded
from shared.operations.ids import Locator, is_valid_id, new_id, new_run
from shared.operations.model import Operation, Outcome, Payload, Status
from shared.operations.records import OperationRecords
from shared.operations.service import TOTAL_DEADLINE, not_found

__all__ = ["Canceled", "CreatedOperation", "ExternalOperations", "Failed", "Running", "Succeeded", "Update"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CreatedOperation:
    """A new operation, and the secret that updates it: nobody can show it again, and no `repr` does."""

    operation: Operation
    secret: str = field(repr=False)


class ExternalOperations:
    """Creates and updates operations of one store that no handler of this app works on."""

    def __init__(
        self,
        records: OperationRecords,
        *,
        clock: Callable[[], datetime],
        complete: Callable[[Operation, Any], Awaitable[Any]] | None = None,
        after_end: AfterEnd | None = None,
        randomness: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """`complete` makes a reported result what is stored as one, and refuses it by raising RequestError.

        `after_end` follows an operation's end, at least once or not at all, as an action's does.
        """
        self._records = records
        self._clock = clock
        self._complete = complete
        self._after_end = after_end
        self._randomness = randomness

    async def create(
        self,
        *,
        kind: str,
        owner: str,
        operation_id: str | None = None,
        run: str | None = None,
        retry_after: int = 5,
        keep: Duration = "24h",
        deadline: Duration = TOTAL_DEADLINE,
        resource: str = "",
        profile: str = "data-plane",
        facts: Mapping[str, Any] | None = None,
        input_json: bytes = b"{}",
        fingerprint: str = "",
        method: str = "",
        path: str = "",
        api_version: str = "",
        start_status: int = 202,
    ) -> CreatedOperation:
        """Record an operation of `kind`, NotStarted, for `owner` (`context.owner`).

        `retry_after` is the seconds clients are told to wait between polls, `deadline` how long the whole may take,
        `keep` how long the record stays after its end. `input_json` is kept for whoever ends it, as a start's input is.
        Raises RequestError 400 InvalidOperationId or 409 OperationIdInUse, and ValueError for what cannot be stored.
        """
        if not kind or len(kind) > 200:
            raise ValueError("kind is a name of 1 to 200 characters, as an action's")
        if retry_after < 1:
            raise ValueError(f"retry_after is {retry_after}; clients are told at least 1 second")
        if operation_id is not None and not is_valid_id(operation_id):
            raise RequestError(400, "InvalidOperationId", "The operation's id cannot be one.", target="Operation-Id")
        now = self._clock()
        id, run = operation_id or new_id(), run or new_run()
        secret = external_secret.make(Locator.of(owner, id), self._randomness(external_secret.RANDOM_BYTES))
        operation = Operation(
            id=id,
            owner=owner,
            run=run,
            action=kind,
            method=method,
            path=path,
            api_version=api_version,
            fingerprint=fingerprint,
            input=await self._records.store_payload(run, "input", "application/json", input_json),
            created=now,
            changed=now,
            deadline=now + duration(deadline, what="deadline"),
            keep=duration(keep, what="keep"),
            retry_after=retry_after,
            profile=profile,
            resource=resource,
            start_status=start_status,
            facts=dict(facts or {}),
            external=True,
            secret_hash=external_secret.fingerprint(secret),
        )
        try:
            operation = await self._records.insert(operation)
        except StorageConflict:
            await self._records.drop_payload(operation.input)
            message = f"There is an operation {operation.id!r} already; choose another id."
            raise RequestError(409, "OperationIdInUse", message, target="Operation-Id") from None
        _log.info("Created an external operation", extra=log_fields("external_created", operation))
        return CreatedOperation(operation, secret)

    async def update(self, owner: str, operation_id: str, update: Update) -> Operation:
        """Move an operation on, from any code of this app; the record as it is then.

        Raises RequestError 404 OperationNotFound, 409 OperationFinished, 409 OperationCanceling (asked to stop: only
        an end is taken), 409 OperationNotExternal.
        """
        operation = await self._records.read(Locator.of(owner, operation_id))
        if operation is None:
            raise not_found(operation_id)
        if not operation.external:
            message = "This operation is run by a handler of this app; only that ends it."
            raise RequestError(409, "OperationNotExternal", message, target=operation_id)
        return await self.apply(operation, update)

    async def authorize(self, operation_id: str, secret: str) -> Operation:
        """The operation that `secret` belongs to; whatever does not fit together is 404, as an unknown operation."""
        locator = external_secret.locate(secret, operation_id) if is_valid_id(operation_id) else None
        operation = await self._records.read(locator) if locator else None
        stored = operation.secret_hash if operation and operation.external else ""
        if not external_secret.matches(secret, stored) or operation is None:
            raise not_found(operation_id)
        return operation

    async def apply(self, operation: Operation, update: Update) -> Operation:
        """`update` for an operation at hand, read in full."""
        if operation.status.is_terminal:
            raise _refused(operation)
        if self._clock() >= operation.deadline:
            # Housekeeping has not come by yet: the deadline counts, not when somebody looks.
            ended = await self._change(operation, lambda o: external_updates.give_up(o, self._clock()))
            await follow_up(self._after_end, ended)
            raise _refused(ended)
        outcome = await self._outcome(operation, update)
        body = outcome.body if outcome else None
        try:
            changed = await self._change(
                operation, lambda o: external_updates.apply(o, self._clock(), update, outcome), body
            )
        except TransitionError:
            current = await self._records.read(operation.locator)
            if current is None:
                raise not_found(operation.id) from None
            raise _refused(current) from None
        _log.info("Updated an external operation", extra=log_fields("external_updated", changed))
        if changed.status.is_terminal:
            await follow_up(self._after_end, changed)
        return changed

    async def _change(
        self, operation: Operation, transition: lifecycle.Transition, body: Payload | None = None
    ) -> Operation:
        """Change the record; `body` is dropped where no record will ever name it."""
        try:
            return await self._records.change(operation, transition)
        except (FenceLost, TransitionError) as error:
            if body is not None:
                with suppress(StorageError):
                    await self._records.drop_payload(body)
            if isinstance(error, FenceLost):
                raise not_found(operation.id) from None
            raise

    async def _outcome(self, operation: Operation, update: Update) -> Outcome | None:
        if isinstance(update, Failed):
            return Outcome(update.status_code, error=bounded(update.error))
        if not isinstance(update, Succeeded):
            return None
        result = update.result
        if self._complete is not None:
            result = await self._complete(operation, result)
        if result is None:
            return Outcome(204)
        content = to_json(result, by_alias=True, inf_nan_mode="null")
        # A name of its own: two ends may race, and the one that loses must not overwrite what the other one names.
        name = f"result-{uuid4().hex}"
        body = await self._records.store_payload(operation.run, name, "application/json", content)
        return Outcome(update.status_code, body=body)


def _refused(operation: Operation) -> RequestError:
    if operation.status is Status.CANCELING:
        message = "The operation was asked to stop: stop, and answer Canceled, or Succeeded or Failed if that is so."
        return RequestError(409, "OperationCanceling", message, target=operation.id)
    message = f"The operation is {operation.status}; nothing changes it any more."
    return RequestError(409, "OperationFinished", message, target=operation.id)
