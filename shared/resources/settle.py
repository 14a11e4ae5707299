"""Two rows, no transaction: what a held resource is, told by the record of its holder. Pure.

A start takes the row, then inserts the operation; an end writes the outcome on the operation, then rolls the row
forward. Whoever reads a held row reads its holder too, so a process that dies between any two of these writes leaves
nothing that a reader cannot tell:

    holder's record          the resource                                     writes
    not there, under 60 s    Accepted: the start is between its two writes    409
    not there, later         as it was before the lock                        the lock is void
    not terminal             Accepted, Creating, Updating, Deleting           409
    terminal                 as after the roll-forward                        after the roll-forward
"""

import json
from typing import Any, cast

from shared.actions.arm.models import PROVISIONING_STATE
from shared.actions.arm.resource import Verb
from shared.frozen import replace
from shared.model.operation import Operation, Status
from shared.resources.model import Body, Resource, ResourceRow

ACCEPTED = "Accepted"
SUCCEEDED = "Succeeded"


def shown_while_held(row: ResourceRow, operation: Operation | None) -> Resource | None:
    """The resource while its holder has not ended; None for a name that only an action of nothing holds.

    ARM RPC, "Asynchronous Operations", provisioningState: actions do not change it. The word never goes back to
    Accepted, not even while a further attempt is awaited.
    """
    lock = row.lock
    assert lock is not None, "only a held row is shown by its holder"
    body = lock.desired or row.body
    if body is None:
        return None
    if lock.verb is Verb.ACTION:
        return Resource(key=row.key, body=body, state=row.state)
    working = {Verb.UPDATE: "Updating", Verb.DELETE: "Deleting"}.get(
        lock.verb, "Creating" if row.body is None else "Updating"
    )
    started = operation is not None and operation.started is not None
    return Resource(key=row.key, body=body, state=working if started else ACCEPTED)


def rolled_forward(row: ResourceRow, operation: Operation | None, result: bytes | None) -> ResourceRow | None:
    """The row once its holder has ended (`operation` is its record, None for a void lock); None where it goes.

    `result` is the stored result of a PUT or PATCH that succeeded: the resource. Doing it again changes nothing,
    because the row that comes out has no lock.
    """
    lock = row.lock
    assert lock is not None, "only a held row is rolled forward"
    released = replace(row, lock=None)
    if operation is None or lock.verb is Verb.ACTION:
        return released if row.body is not None else None
    state = operation.status.value
    if operation.status is not Status.SUCCEEDED:
        # A creation that failed leaves what was asked for, so that it can be seen, mended or deleted.
        body = row.body or lock.desired
        return replace(released, body=body, state=state) if body is not None else None
    if lock.verb is Verb.DELETE:
        return None
    body = _body_of(result, lock.desired) if result is not None else lock.desired
    return replace(released, body=body, state=state)


def _body_of(result: bytes, desired: Body | None) -> Body:
    value = cast(dict[str, Any], json.loads(result))
    properties = dict(value.get("properties") or {})
    properties.pop(PROVISIONING_STATE, None)
    return Body(
        location=desired.location if desired else str(value.get("location", "")),
        tags=value.get("tags") or {},
        properties=properties,
        system_data=value.get("systemData") or {},
    )
