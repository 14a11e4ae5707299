"""What the fallback answers: why nothing took the request, and what would have been taken.

The host itself answers 404 with an empty body, also for a known path with another method.
"""

from collections.abc import Awaitable, Callable, Sequence

from shared.actions import routes
from shared.actions.odata.routes import ROOT
from shared.actions.routes import Endpoint
from shared.contracts.http import Request, Response
from shared.endpoints import boundary
from shared.endpoints.arm import boundary as arm_boundary
from shared.errors import RequestError
from shared.frozen import replace


def unknown_route(endpoints: Sequence[Endpoint], request: Request) -> RequestError:
    """404 for an unknown path or action, 405 with `Allow` for a known path with another method."""
    path = routes.decode_path(request.path)
    if allowed := routes.allowed_methods(endpoints, path):
        allow = ", ".join(allowed)
        message = f"{request.method} is not possible here; possible: {allow}."
        return RequestError(405, "MethodNotAllowed", message, headers={"Allow": allow})
    if ":" in path.rpartition("/")[2]:
        verbs = routes.known_verbs(endpoints, path)
        known = f" Known here: {', '.join(verbs)}." if verbs else ""
        return RequestError(404, "ActionNotFound", f"There is no such action.{known}")
    return RequestError(404, "RouteNotFound", "There is nothing at this path.")


class Unknown:
    """The fallback, in the manner of the profile whose paths a request's belongs to."""

    def __init__(
        self, endpoints: Sequence[Endpoint], odata: Callable[[Request], Awaitable[Response]] | None, root_path: str
    ) -> None:
        """`odata` answers below the service root: it knows its paths and their methods better than routes tell."""
        self._endpoints = endpoints
        self._odata = odata
        self._root_path = root_path

    async def answer(self, request: Request) -> Response:
        """404, or 405 with `Allow`."""
        request = replace(request, root_path=self._root_path)
        first = routes.decode_path(request.path).partition("/")[0].lower()
        if first == ROOT and self._odata is not None:
            return await self._odata(request)
        return await (arm_boundary.answer if first == "subscriptions" else boundary.answer)(request, self._refuse)

    async def _refuse(self, request: Request) -> Response:
        raise unknown_route(self._endpoints, request)
