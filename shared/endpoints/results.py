"""Monitors with the results that they carry."""

from shared.contracts.http import Response, around_member
from shared.frozen import replace
from shared.model.operation import Operation
from shared.operations.service import OperationService


async def with_result(service: OperationService, operation: Operation, answer: Response, member: str) -> Response:
    """The monitor in `answer` with the operation's result as one more member; as it is where there is none."""
    body = await service.result_content(operation, *around_member(answer, member))
    return answer if body is None else replace(answer, body=body)
