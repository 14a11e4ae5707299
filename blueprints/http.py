"""Between the Functions SDK's HTTP types and ours."""

from collections.abc import Awaitable, Callable

import azure.functions as func

from shared.contracts.http import Request, Response
from shared.endpoints.border import answer


async def respond(request: func.HttpRequest, endpoint: Callable[[Request], Awaitable[Response]]) -> func.HttpResponse:
    """The endpoint's answer to an SDK request."""
    return to_sdk(await answer(from_sdk(request), endpoint))


def from_sdk(request: func.HttpRequest) -> Request:
    return Request(
        method=request.method.upper(),
        url=request.url,
        headers={name.lower(): value for name, value in request.headers.items()},
        route=dict(request.route_params),
        query=dict(request.params),
        body=request.get_body(),
    )


def to_sdk(response: Response) -> func.HttpResponse:
    # The host does not take a missing content type, not even for an empty body. It is given as a header, because the
    # SDK adds a charset to a text type that is given as `mimetype`, also to one that has a charset.
    return func.HttpResponse(
        body=response.body,
        status_code=response.status,
        headers={**response.headers, "Content-Type": response.content_type or "application/json"},
    )
