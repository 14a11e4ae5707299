"""How many requests a process works on at a time: what is above that is answered before its body is looked at.

The host's own limits know no exceptions. Ours have one: the app's health is asked for when there is much to do.

A request that waits keeps its place, so that waiting ones are bounded as well. They get half of the places: callers who
ask to wait do not shut out those who do not.
"""

from collections.abc import Awaitable, Callable

from shared.contracts import preferences
from shared.contracts.http import Request, Response
from shared.errors import RequestError

Endpoint = Callable[[Request], Awaitable[Response]]

_RETRY_AFTER = "1"


class Admission:
    """Counts the requests under way in this process. For the loop's thread only."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._under_way = 0

    async def serve(self, request: Request, endpoint: Endpoint) -> Response:
        """The endpoint's answer; while more than half of the places are taken, without honouring `Prefer: wait`.

        Raises RequestError 429 TooManyRequests while `limit` others are under way.
        """
        if self._under_way >= self._limit:
            message = "This instance works on as many requests as it takes; try again."
            raise RequestError(429, "TooManyRequests", message, headers={"Retry-After": _RETRY_AFTER})
        self._under_way += 1
        try:
            if 2 * self._under_way > self._limit and "prefer" in request.headers:
                request = preferences.without_wait(request)
            return await endpoint(request)
        finally:
            self._under_way -= 1
