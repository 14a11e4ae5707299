"""The boundary of the ARM profile: that of every profile, with ARM's rules for ids in headers."""

from collections.abc import Awaitable, Callable

from shared.contracts.arm import headers as arm_headers
from shared.contracts.http import Request, Response
from shared.endpoints import boundary


async def answer(request: Request, endpoint: Callable[[Request], Awaitable[Response]]) -> Response:
    """The endpoint's answer, or the error it ended in, with the headers of ARM RPC, "Common API Details"."""
    response = await boundary.answer(arm_headers.for_boundary(request), endpoint)
    return arm_headers.complete(request, response)
