"""What the fallback answers: why nothing took the request, and what would have been taken.

The host itself answers 404 with an empty body, also for a known path with another method.
"""

from collections.abc import Sequence

from shared.actions import routes
from shared.actions.odata_routes import ROOT
from shared.actions.routes import Endpoint
from shared.composition import Application
from shared.contracts.http import Request, Response
from shared.endpoints import arm_border, border
from shared.endpoints.odata import OData
from shared.errors import RequestError


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


async def answer_unknown(application: Application, request: Request) -> Response:
    """The fallback's answer, in the manner of the profile whose paths the request's belongs to."""
    first = routes.decode_path(request.path).partition("/")[0].lower()
    if first == ROOT and application.registry.odata is not None:
        # It knows its paths and their methods better than the routes tell.
        return await OData(application, application.registry.odata).answer(request)

    async def unknown(request: Request) -> Response:
        raise unknown_route(application.endpoints, request)

    return await (arm_border.answer if first == "subscriptions" else border.answer)(request, unknown)
