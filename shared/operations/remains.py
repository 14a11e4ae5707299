"""What a removed operation has left behind, as a row that tells of it until all is gone. Pure.

The row outlives the record: whatever is to be removed after it has to be found in its columns.
"""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta

from shared.frozen import frozen, replace
from shared.model.ids import Locator
from shared.model.operation import Operation, Payload, Status, instance_id
from shared.model.times import read_time, write_time
from shared.operations.payload_columns import input_columns, stored_input
from shared.storage.ports import Change, Delete, Insert, Scalar

CLEAR = "clear"
"""The kind of a due row that tells what is left."""


@frozen
class RemovedOperation:
    """What the removal hooks of an action are told of an operation."""

    action: str
    owner: str
    api_version: str
    created: datetime
    input: Payload
    input_version: int = 1


@frozen
class Remains:
    """What a removed operation has left behind: instances in the engine, payloads, and what its hooks remove."""

    locator: Locator
    run_id: str
    removed: datetime
    generations: int
    """How often it was started in the engine, with success or not."""
    blobs: tuple[str, ...]
    steps: int = 0
    """Rows of steps that are done once."""
    purged: int = 0
    """Generations, the first ones, that the engine keeps nothing of."""
    all_blobs: bool = False
    """Whether the run may have stored blobs that no record names: results, checkpoints, results of steps."""
    hooked: RemovedOperation | None = None
    """Set until the hooks of its action have run; None where there are none."""
    due: datetime | None = None
    """Nothing is to be done before; None for at once."""
    open_since: datetime | None = None
    """When it ended, where a start of it may still be on its way to the engine; None where all have arrived."""
    result: str = ""
    """The name of a reported result that was about to be stored; its record names it by now, or never will."""

    @classmethod
    def of(cls, operation: Operation, now: datetime, *, has_hooks: bool = False) -> "Remains":
        outcome_body = operation.outcome.body if operation.outcome else None
        blobs = tuple(payload.blob for payload in (operation.input, outcome_body) if payload and payload.blob)
        generations = 0 if operation.external else operation.generation
        # A claim shows that the only start has arrived; of several, one that was given up may be taken later.
        all_arrived = generations == 0 or (generations == 1 and operation.fence > 0)
        is_plain = operation.status is Status.SUCCEEDED and operation.fence <= 1
        is_plain = is_plain and operation.saved is None and not operation.steps and operation.file is None
        hooked = RemovedOperation(
            operation.action,
            operation.owner,
            operation.api_version,
            operation.created,
            operation.input,
            operation.input_version,
        )
        return cls(
            operation.locator,
            operation.run_id,
            now,
            generations=generations,
            blobs=blobs,
            steps=operation.steps,
            purged=operation.purged,
            all_blobs=operation.fence > 0 and not is_plain,
            hooked=hooked if has_hooks else None,
            open_since=None if all_arrived else operation.ended,
        )

    @classmethod
    def of_unrecorded(cls, operation: Operation, *, patience: timedelta) -> "Remains":
        """What a start leaves that stores its input, a blob, and dies before the record."""
        due = operation.created + patience
        return cls(operation.locator, operation.run_id, due, generations=0, blobs=(f"{operation.run_id}/input",))

    @classmethod
    def of_reported(cls, operation: Operation, name: str, due: datetime) -> "Remains":
        """What an update leaves that stores a result of this name, a blob, and dies before the record."""
        blobs = (f"{operation.run_id}/{name}",)
        return cls(operation.locator, operation.run_id, due, generations=0, blobs=blobs, result=name)

    @classmethod
    def from_columns(
        cls, locator: Locator, run_id: str, due: datetime, values: Mapping[str, Scalar], *, result: str = ""
    ) -> "Remains":
        """Inverse of `key` and `columns`."""
        hooked = None
        if values.get("action"):
            hooked = RemovedOperation(
                *(str(values.get(name, "")) for name in ("action", "owner", "api_version")),
                created=read_time(str(values["created"])),
                input=stored_input(values),
                input_version=int(values.get("input_version", 1)),
            )
        removed = read_time(str(values["removed"])) if values.get("removed") else due
        return cls(
            locator,
            run_id,
            removed,
            generations=int(values["generations"]),
            blobs=tuple(json.loads(str(values["blobs"]))),
            steps=int(values.get("steps", 0)),
            purged=int(values.get("purged", 0)),
            all_blobs=bool(values.get("all_blobs", False)),
            hooked=hooked,
            due=None if due == removed else due,
            open_since=read_time(str(values["open_since"])) if values.get("open_since") else None,
            result=result,
        )

    @property
    def key(self) -> str:
        # Several results may be reported at one time, each with a row of its own.
        suffix = f"!{self.result}" if self.result else ""
        return f"t!{write_time(self.due or self.removed)}!{self.locator}!{CLEAR}!{self.run_id}{suffix}"

    @property
    def columns(self) -> dict[str, Scalar]:
        columns: dict[str, Scalar] = {
            "removed": write_time(self.removed),
            "generations": self.generations,
            "blobs": json.dumps(self.blobs),
            "steps": self.steps,
            "purged": self.purged,
            "all_blobs": self.all_blobs,
            "open_since": write_time(self.open_since) if self.open_since else "",
        }
        if self.hooked is not None:
            columns |= {"action": self.hooked.action, "owner": self.hooked.owner}
            columns |= {"api_version": self.hooked.api_version, "created": write_time(self.hooked.created)}
            columns |= input_columns(self.hooked.input)
            if self.hooked.input_version != 1:
                columns["input_version"] = self.hooked.input_version
        return columns

    @property
    def instance_ids(self) -> list[str]:
        return [instance_id(self.run_id, generation) for generation in range(self.purged + 1, self.generations + 1)]


def result_name(run_id: str, fence: int) -> str:
    """The blob of what an attempt returns; every claim has a name of its own for it."""
    return f"{run_id}/result-{fence}"


def postponement(remains: Remains, due: datetime) -> list[Change]:
    """What has a row that tells what is left found again at that time."""
    later = replace(remains, due=due)
    return [Delete(remains.key), Insert(later.key, later.columns)]
