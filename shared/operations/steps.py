"""Steps that are done once: each has its result in a row beside the record, inserted under the fence of its claim.

    j!{owner hash}!{id}!{run id}!{SHA-256 of the key}

The run is part of the key: once an operation is removed another one may have its id, before the rows are gone.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from typing import Any, Protocol

from pydantic_core import from_json

from shared.actions.attempt_context import StepResult
from shared.errors import ActionCanceled, ActionFailed, StorageError, StorageRefused
from shared.model.ids import Locator
from shared.model.operation import Operation
from shared.operations.off_loop import off_loop
from shared.operations.payload_columns import load_json, payload_columns, payload_of
from shared.operations.records import OperationRecords
from shared.operations.snapshots import STEP_RESULT, Snapshot, snapshot
from shared.storage.ports import Change, Insert, Row

MAX_STEPS = 1000
"""Of one operation: they are removed with it, in bounded transactions."""

_LONGEST_KEY = 200


class StepWriter(Protocol):
    """The attempt that does the steps."""

    operation: Operation

    async def note_step(self, also: Sequence[Change]) -> None:
        """Write the record, with one step more, and `also` in one transaction. Raises StorageError, ActionCanceled."""
        ...

    async def refresh(self) -> None:
        """Have the record as it is stored. Raises StorageError."""
        ...


class Steps:
    """The steps of one claim. Used on its loop."""

    def __init__(
        self,
        records: OperationRecords,
        attempt: StepWriter,
        *,
        limit: int,
        pause: Callable[[int], Awaitable[None]],
    ) -> None:
        """`limit`: bytes of a result. `pause` waits between two tries of a write, the first one is 0; it raises
        ActionCanceled where the attempt is over."""
        self._records = records
        self._attempt = attempt
        self._limit = limit
        self._pause = pause
        self._unread = attempt.operation.steps
        """How many steps of earlier claims were not asked for yet: with none, no row is looked for."""
        self._known: dict[str, tuple[str, Any]] = {}
        self._keeping = asyncio.Lock()
        """One after the other: of one key that is used twice at once, the first result stands."""

    async def find(self, key: str, function: str) -> StepResult | None:
        """What the step has come to, if it was done before. Raises ActionFailed and StorageError."""
        if _is_key(key) and key not in self._known and self._unread and (row := await self._read(key)) is not None:
            await self._learn(key, row)
            self._unread -= 1
        check_step(key, done=self._attempt.operation.steps, known=key in self._known)
        return StepResult(self._value(key, function)) if key in self._known else None

    async def keep(self, key: str, function: str, value: Any) -> Any:
        """Store what the step has come to, however long that takes; that value as it is read later.

        Raises ActionFailed, and ActionCanceled where the attempt is over.
        """
        return await self.keep_snapshot(key, function, await snapshot(value, STEP_RESULT, limit=self._limit))

    async def keep_snapshot(self, key: str, function: str, made: Snapshot) -> Any:
        """As `keep`, of what was made elsewhere."""
        async with self._keeping:
            return await self._keep(key, function, made)

    async def _keep(self, key: str, function: str, made: Snapshot) -> Any:
        operation = self._attempt.operation
        name = f"{operation.run_id}/step-{operation.fence}-{_digest(key)[:32]}"
        tried = 0
        while True:
            try:
                if tried and (row := await self._read(key)) is not None:
                    # A write whose answer is missing was done after all.
                    await self._learn(key, row)
                    await self._attempt.refresh()
                if key in self._known:
                    return self._value(key, function)
                payload = self._records.inline(made.content, made.sha256)
                payload = payload or await self._records.store_checkpoint(name, made.content, made.sha256)
                values = {"key": key, "function": function, **payload_columns("result", payload)}
                row_key = step_key(operation.locator, operation.run_id, key)
                await self._attempt.note_step([Insert(row_key, values)])
            except StorageRefused as refused:
                message = "The store cannot hold the result of the step: store it elsewhere, and return its name."
                raise ActionFailed(STEP_RESULT.invalid, message, status_code=500) from refused
            except StorageError:
                # Work that is done is not given up for one failed write: nobody else claims while the lease lives.
                await self._pause(tried)
                tried += 1
            else:
                self._known[key] = (function, made.value)
                return made.value

    async def _read(self, key: str) -> Row | None:
        operation = self._attempt.operation
        return await self._records.read_row(operation.locator, step_key(operation.locator, operation.run_id, key))

    async def _learn(self, key: str, row: Row) -> None:
        payload = payload_of(load_json(row.values, "result"), row.values.get("result_text"))
        content = await self._records.load_payload(payload) if payload else None
        if content is None:
            raise ActionCanceled("the operation was removed while its handler ran")
        self._known[key] = (str(row.values["function"]), await off_loop(len(content), from_json, content))

    def _value(self, key: str, function: str) -> Any:
        done_by, value = self._known[key]
        check_function(key, function, done_by)
        return value


def step_key(locator: Locator, run_id: str, key: str) -> str:
    """The key of a step's row."""
    return f"{steps_prefix(locator, run_id)}{_digest(key)}"


def steps_prefix(locator: Locator, run_id: str) -> str:
    """How the keys of all rows of steps of a run begin."""
    return f"j!{locator}!{run_id}!"


def _digest(key: str) -> str:
    return sha256(key.encode()).hexdigest()


def check_step(key: str, *, done: int, known: bool) -> None:
    """Raise ActionFailed for what is no key, and for one step more than an operation may have."""
    if not _is_key(key):
        message = f"The key of a step is a text of 1 to {_LONGEST_KEY} characters."
        raise ActionFailed("InvalidStepKey", message, status_code=500)
    if done >= MAX_STEPS and not known:
        message = f"An operation has {MAX_STEPS} steps at most: do several things in one, or save a checkpoint."
        raise ActionFailed("TooManySteps", message, status_code=500)


def check_function(key: str, function: str, done_by: str) -> None:
    """Raise ActionFailed where the key is that of another step."""
    if done_by != function:
        message = (
            f"The step {key!r} was done by {done_by}, and is now asked for by {function}: give each step a key of its "
            "own, or the function its former name."
        )
        raise ActionFailed("StepMismatch", message, status_code=500)


def _is_key(key: object) -> bool:
    if not isinstance(key, str) or not 1 <= len(key) <= _LONGEST_KEY:
        return False
    return not any("\ud800" <= each <= "\udfff" for each in key)
