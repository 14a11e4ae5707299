"""Which answers of monitors a caller's own cache may keep: those that do not change any more."""

from shared.contracts.conditions import revalidated, with_etag
from shared.contracts.http import Request, Response
from shared.frozen import frozen
from shared.model.operation import Operation
from shared.operations.off_loop import off_loop
from shared.operations.recent import Recent

_KEPT, _SMALL = 256, 16 * 1024
"""Answers, each of so many bytes at most."""


async def once_ended(request: Request, operation: Operation, answer: Response) -> Response:
    """The monitor in `answer`, with an ETag once the operation has ended; 304 for a GET that has it already."""
    if request.method != "GET" or not operation.status.is_terminal:
        return answer
    return revalidated(request, await off_loop(len(answer.body), with_etag, answer))


@frozen
class _Shown:
    operation: Operation
    answer: Response
    tagged: Response
    """What a GET is answered."""


class ShownMonitors:
    """The last monitors as they were written, for those who poll: the same record is shown in the same words."""

    def __init__(self) -> None:
        self._shown: Recent[str, _Shown] = Recent(_KEPT)

    def get(self, request: Request, operation: Operation) -> Response | None:
        """The answer for the very value of a record that was shown before."""
        shown = self._shown.get(operation.run_id)
        if shown is None or shown.operation is not operation:
            return None
        if request.method != "GET" or not operation.status.is_terminal:
            return shown.answer
        return revalidated(request, shown.tagged)

    async def put(self, request: Request, operation: Operation, answer: Response) -> Response:
        """The answer, as `once_ended` has it; kept where it is small."""
        if len(answer.body) > _SMALL:
            return await once_ended(request, operation, answer)
        tagged = with_etag(answer) if operation.status.is_terminal else answer
        self._shown.put(operation.run_id, _Shown(operation, answer, tagged))
        return revalidated(request, tagged) if request.method == "GET" and tagged is not answer else answer
