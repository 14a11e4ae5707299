"""Between the Functions SDK's HTTP types and ours."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import azure.functions as func

from shared import parts

if TYPE_CHECKING:
    from shared.contracts.http import Request, Response
    from shared.endpoints.admission import Admission, Endpoint

    Respond = Callable[[func.HttpRequest, Endpoint], Awaitable[func.HttpResponse]]


def responder(
    admission: "Callable[[], Admission]", boundary: "Callable[[Request, Endpoint], Awaitable[Response]] | None" = None
) -> "Respond":
    """What answers requests in the manner of a profile's boundary, as many at a time as are admitted."""

    async def respond(request: func.HttpRequest, endpoint: "Endpoint") -> func.HttpResponse:
        def admitted(request: "Request") -> "Awaitable[Response]":
            return admission().serve(request, endpoint)

        serve = boundary or parts.answer
        return await exchange(request, lambda request: serve(request, admitted))

    return respond


async def respond(request: func.HttpRequest, endpoint: "Endpoint") -> func.HttpResponse:
    """The endpoint's answer to an SDK request, or the error it ended in, however many others are under way."""
    return await exchange(request, lambda request: parts.answer(request, endpoint))


async def exchange(request: func.HttpRequest, serve: "Endpoint") -> func.HttpResponse:
    """What `serve` answers to an SDK request.

    HEAD is served as the GET that it stands for. The host leaves the body out of its answer, and adds no Content-Length
    then (RFC 9110, sections 8.6 and 9.3.2; Kestrel, `HttpProtocol`).
    """
    ours = _from_sdk(request)
    with parts.continued(ours.headers.get("traceparent")):
        response = await serve(ours)
    if ours.is_head and response.body:
        response = replace(response, headers={**response.headers, "Content-Length": str(len(response.body))})
    return _to_sdk(response)


def _from_sdk(request: func.HttpRequest) -> "Request":
    method, headers = request.method.upper(), request.headers
    return parts.Request(
        method="GET" if method == "HEAD" else method,
        url=request.url,
        headers={name: headers[name] for name in headers},
        route=request.route_params,
        query=request.params,
        body=request.get_body(),
        is_head=method == "HEAD",
    )


def _to_sdk(response: "Response") -> func.HttpResponse:
    # The host does not take a missing content type, not even for an empty body. It is given as a header, because the
    # SDK adds a charset to a text type that is given as `mimetype`, also to one that has a charset.
    return func.HttpResponse(
        body=response.body,
        status_code=response.status,
        headers={"Content-Type": response.content_type or "application/json", **response.headers},
    )
