"""Operations that are delegated: created without a handler, moved on by updates.

    created = await context.external.create(kind="press:set-up", owner=context.owner)
    ...
    await context.external.update(context.owner, created.operation.id, Succeeded({"pages": 12}))

Another system updates over HTTP, with the secret that `create` returns once (shared/endpoints/dataplane/updates.py).
Such an operation is never claimed and holds no lease; it ends by an update, by a cancel, or at its deadline.
"""

import logging
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from shared.actions.context import DelegatedOperations
from shared.actions.policies import Duration, duration
from shared.errors import FenceLost, RequestError, StorageConflict, StorageError, TransitionError
from shared.frozen import replace
from shared.model import lifecycle
from shared.model.ids import Locator, is_valid_id, new_id, new_run_id
from shared.model.operation import DELEGATION, NO_PAYLOAD, Operation, Outcome, Status
from shared.model.timing import Clock, Timing
from shared.model.updates import NO_REQUEST, CreatedOperation, Failed, Origin, Succeeded, Update
from shared.operations import external_secret, external_updates
from shared.operations.after_end import AfterEnd, run_after_end
from shared.operations.bounded_errors import bounded
from shared.operations.log_lines import about
from shared.operations.records import OperationRecords
from shared.operations.remains import Remains
from shared.operations.results import ResultRefused, any_json
from shared.operations.service import not_found
from shared.settings import MAX_RESULT_BYTES

_log = logging.getLogger(__name__)


class ExternalOperations(DelegatedOperations):
    """Creates and updates operations of one store that no handler of this app works on."""

    def __init__(
        self,
        records: OperationRecords,
        *,
        clock: Clock,
        timing: Timing,
        after_end: AfterEnd,
        complete: Callable[[Operation, Any], Awaitable[Any]] | None = None,
        max_result_bytes: int = MAX_RESULT_BYTES,
        randomness: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """`complete` makes a reported result what is stored as one, and refuses it by raising RequestError.

        `after_end` follows an operation's end, at least once or not at all, as an action's does.
        """
        self._records = records
        self._clock = clock
        self._timing = timing
        self._complete = complete
        self._after_end = after_end
        self._max_result_bytes = max_result_bytes
        self._randomness = randomness

    async def create(
        self,
        *,
        kind: str,
        owner: str,
        operation_id: str | None = None,
        run_id: str | None = None,
        retry_after: int = 5,
        keep: Duration = "24h",
        deadline: Duration | None = None,
        resource: str = "",
        origin: Origin = NO_REQUEST,
    ) -> CreatedOperation:
        """Record an operation of `kind`, NotStarted, for `owner` (`context.owner`).

        `retry_after` is the seconds clients are told to wait between polls, `deadline` how long the whole may take
        (None: as long as any operation), `keep` how long the record stays after its end. `origin` is the request that
        a profile starts it by. Raises RequestError 400 InvalidOperationId or 409 OperationIdInUse, and ValueError for
        what cannot be stored.
        """
        _check_new(kind, retry_after, operation_id)
        now = self._clock.now()
        id, run_id = operation_id or new_id(), run_id or new_run_id()
        secret = external_secret.make(Locator.of(owner, id), self._randomness(external_secret.RANDOM_BYTES))
        operation = Operation(
            id=id,
            owner=owner,
            run_id=run_id,
            action=kind,
            method=origin.method,
            path=origin.path,
            api_version=origin.api_version,
            fingerprint=origin.fingerprint,
            input=NO_PAYLOAD,
            created=now,
            changed=now,
            deadline=now + duration(deadline or self._timing.total_deadline, what="deadline"),
            keep=duration(keep, what="keep"),
            retry_after=retry_after,
            profile=origin.profile,
            resource=resource,
            start_status=origin.start_status,
            profile_state=dict(origin.profile_state),
            labels=origin.labels,
            external=True,
            secret_hash=external_secret.fingerprint(secret),
        )
        operation = await self._records.with_input(operation, origin.input_json)
        return CreatedOperation(await self._insert(operation), secret)

    async def renew(self, operation: Operation) -> CreatedOperation:
        """One more secret for an operation whose work may not have been delegated; those that it has stay good.

        Raises FenceLost where somebody else has just done so, or where there is nothing to delegate any more.
        """
        stored = await self._records.read(operation.locator)
        if stored is None or stored.run_id != operation.run_id:
            raise FenceLost(f"operation {operation.id} is gone")
        secret = external_secret.make(stored.locator, self._randomness(external_secret.RANDOM_BYTES))

        def add(current: Operation) -> Operation:
            if not current.is_undelegated or current.secret_hash != stored.secret_hash:
                raise FenceLost(f"the work of operation {operation.id} was delegated by somebody else")
            return replace(current, secret_hash=external_secret.added(current.secret_hash, secret))

        return CreatedOperation(await self._records.change(stored, add), secret)

    async def delegated(self, operation: Operation) -> Operation:
        """Its work has been delegated: nobody does so again. The operation as it is then."""
        return await self._records.change(operation, _without_delegation)

    async def not_delegated(self, created: CreatedOperation, failure: Failed) -> Operation:
        """The try with this secret came to nothing: the operation has failed, unless another try does better.

        That is one that has delegated the work since, or has begun to. The operation as it is then.
        """
        mine, outcome = external_secret.fingerprint(created.secret), Outcome(failure.status_code, error=failure.error)

        def fail(current: Operation) -> Operation:
            if not current.is_undelegated or current.secret_hash.split()[-1] != mine:
                return current
            return external_updates.apply(current, self._clock.now(), failure, outcome)

        stored = await self._records.read(created.operation.locator)
        if stored is None or stored.run_id != created.operation.run_id:
            return created.operation
        ended = await self._records.change(stored, fail)
        if ended.status.is_terminal:
            await run_after_end(self._after_end, ended)
        return ended

    async def input(self, operation: Operation) -> bytes:
        """What it was started with, of an operation read in full. Raises FenceLost where it was removed meanwhile."""
        content = await self._records.load_payload(operation.input)
        if content is None:
            raise FenceLost(f"operation {operation.id} is gone")
        return content or b"{}"

    async def _insert(self, operation: Operation) -> Operation:
        try:
            operation = await self._records.insert(operation)
        except StorageConflict:
            await self._records.drop_input(operation)
            message = f"There is an operation {operation.id!r} already; choose another id."
            raise RequestError(409, "OperationIdInUse", message, target="Operation-Id") from None
        about(_log, operation, "external_created").info("Created an external operation")
        return operation

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
        if self._records.verdict_clock.now() >= operation.deadline:
            # Housekeeping has not come by yet: the deadline counts, not when somebody looks.
            ended = await self._change(operation, lambda o: external_updates.give_up(o, self._clock.now()))
            await run_after_end(self._after_end, ended)
            raise _refused(ended)
        announced = self._records.announcement(operation)
        try:
            outcome = await self._outcome(operation, update, announced)
        except ResultRefused as refused:
            about(_log, operation, "result_refused").error("The reported result does not fit: %s", refused)
            update = Failed(refused.error)
            outcome = await self._outcome(operation, update, announced)
        is_blob = bool(outcome and outcome.body and outcome.body.blob)
        try:
            changed = await self._change(
                operation,
                lambda o: external_updates.apply(o, self._clock.now(), update, outcome),
                announced if is_blob else None,
            )
        except TransitionError:
            current = await self._records.read(operation.locator)
            if current is None:
                raise not_found(operation.id) from None
            raise _refused(current) from None
        about(_log, changed, "external_updated").info("Updated an external operation: %s", changed.status)
        if changed.status.is_terminal:
            await run_after_end(self._after_end, changed)
        return changed

    async def _change(
        self, operation: Operation, transition: lifecycle.Transition, announced: Remains | None = None
    ) -> Operation:
        """Change the record; the result that was `announced` is dropped where no record will ever name it."""
        try:
            return await self._records.change(operation, transition, announced=announced)
        except (FenceLost, TransitionError) as error:
            if announced is not None:
                with suppress(StorageError):
                    await self._records.discard(announced)
            if isinstance(error, FenceLost):
                raise not_found(operation.id) from None
            raise

    async def _outcome(self, operation: Operation, update: Update, announced: Remains) -> Outcome | None:
        """What the update ends the operation with, stored where it is large; None where it does not end it."""
        if isinstance(update, Failed):
            return Outcome(update.status_code, error=bounded(update.error))
        if not isinstance(update, Succeeded):
            return None
        result = update.result
        if self._complete is not None:
            result = await self._complete(operation, result)
        if result is None:
            return Outcome(204)
        content = await any_json(result, limit=self._max_result_bytes)
        return Outcome(update.status_code, body=await self._records.store_announced(announced, content))


def _without_delegation(operation: Operation) -> Operation:
    state = {name: value for name, value in operation.profile_state.items() if name != DELEGATION}
    return operation if state == operation.profile_state else replace(operation, profile_state=state)


def _refused(operation: Operation) -> RequestError:
    if operation.status is Status.CANCELING:
        message = "The operation was asked to stop: stop, and answer Canceled, or Succeeded or Failed if that is so."
        return RequestError(409, "OperationCanceling", message, target=operation.id)
    message = f"The operation is {operation.status}; nothing changes it any more."
    return RequestError(409, "OperationFinished", message, target=operation.id)


def _check_new(kind: str, retry_after: int, operation_id: str | None) -> None:
    if not kind or len(kind) > 200:
        raise ValueError("kind is a name of 1 to 200 characters, as an action's")
    if retry_after < 1:
        raise ValueError(f"retry_after is {retry_after}; clients are told at least 1 second")
    if operation_id is not None and not is_valid_id(operation_id):
        raise RequestError(400, "InvalidOperationId", "The operation's id cannot be one.", target="Operation-Id")
