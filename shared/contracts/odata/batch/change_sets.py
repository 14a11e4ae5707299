"""What a group may hold: writes of one entity set that go into one transaction."""

from collections.abc import Callable, Sequence

from shared.contracts.odata.batch.parts import BatchRequest
from shared.errors import RequestError
from shared.frozen import frozen

_WRITES = frozenset({"POST", "PATCH", "DELETE"})


@frozen
class Write:
    """One change of one entity of `entity_set`."""

    entity_set: str
    key: str | None
    """None where the service makes it up."""


Classify = Callable[[BatchRequest], Write | None]
"""Which write a request is; None for a call of an action, and for all else that is no write of an entity set."""


def check_change_set(requests: Sequence[BatchRequest], classify: Classify, *, max_changes: int) -> tuple[Write, ...]:
    """The writes of a group, once they can be one transaction.

    Raises RequestError 400 that names the limit: at most `max_changes` writes, POST, PATCH and DELETE only, no actions,
    one entity set, and each entity once (Azure Tables, "Performing entity group transactions"). `classify` may raise
    RequestErrors of its own.
    """
    if len(requests) > max_changes:
        problem = f"it has {len(requests)} requests, of which {max_changes} are possible"
        raise _refused(requests[max_changes], problem, code="ChangeSetTooLarge")
    writes: list[Write] = []
    seen: set[tuple[str, str]] = set()
    for request in requests:
        write = classify(request) if request.method in _WRITES else None
        if write is None:
            problem = f"request {request.id!r} is none of POST, PATCH and DELETE on an entity set; actions stand alone"
            raise _refused(request, problem)
        if writes and write.entity_set != writes[0].entity_set:
            problem = f"request {request.id!r} changes {write.entity_set}, others {writes[0].entity_set}; one set only"
            raise _refused(request, problem)
        if write.key is not None:
            if (write.entity_set, write.key) in seen:
                problem = f"request {request.id!r} changes {write.key!r} again; each entity once only"
                raise _refused(request, problem)
            seen.add((write.entity_set, write.key))
        writes.append(write)
    return tuple(writes)


def _refused(request: BatchRequest, problem: str, *, code: str = "InvalidChangeSet") -> RequestError:
    where = f"The group {request.group!r}" if request.group is not None else "The group"
    return RequestError(400, code, f"{where} cannot be done as one: {problem}.", target=request.id)
