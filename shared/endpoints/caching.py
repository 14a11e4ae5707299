"""Which answers of monitors a caller's own cache may keep: those that do not change any more."""

from shared.contracts.conditions import revalidated
from shared.contracts.http import Request, Response
from shared.model.operation import Operation
from shared.operations.off_loop import off_loop


async def once_ended(request: Request, operation: Operation, answer: Response) -> Response:
    """The monitor in `answer`, with an ETag once the operation has ended; 304 for a GET that has it already."""
    if request.method != "GET" or not operation.status.is_terminal:
        return answer
    return await off_loop(len(answer.body), revalidated, request, answer)
