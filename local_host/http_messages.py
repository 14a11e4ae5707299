"""HTTP requests and responses as functions see them: between aiohttp and the Azure Functions SDK.

Source: the host's `ScriptInvocationExtensions`/`RpcHttp` conversion (lower-cased header names, several values joined
by commas, a body only with a Content-Length above zero) and the SDK's converters in `azure/functions/http.py`.
"""

from collections.abc import Mapping
from http.cookies import SimpleCookie
from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web
from azure.functions import http as sdk
from multidict import CIMultiDict

from local_host.connections import SLICE, SlicedBody, arriving
from local_host.routing import RouteValues

MAX_BODY = 104_857_600
"""Bytes; the server of the Functions host answers 413 above it."""

# The server frames messages itself: a function's idea of these would contradict what is sent.
_FRAMING = frozenset({"content-length", "transfer-encoding", "connection", "keep-alive"})


async def to_function(request: web.Request, values: RouteValues) -> sdk.HttpRequest:
    """The SDK's request; the body is read when the request has a Content-Length (a chunked body arrives empty).

    Raises BodyTooSlow and CallerLeft.
    """
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        key = name.lower()
        headers[key] = f"{headers[key]},{value}" if key in headers else value
    target = request.raw_path if request.raw_path.startswith("/") else request.rel_url.raw_path_qs
    query: dict[str, str] = {}
    for name, value in parse_qsl(target.partition("?")[2], keep_blank_values=True):
        query[name] = f"{query[name]},{value}" if name in query else value
    return sdk.HttpRequest(
        method=request.method,
        url=f"{request.scheme}://{request.host}{target}",
        headers=headers,
        params=query,
        route_params={name: value for name, value in values.items() if value is not None},
        body_type="bytes",
        body=await _body(request) if request.content_length else b"",
    )


async def _body(request: web.Request) -> bytes:
    """In memory once: bytes that are joined are there twice."""
    body = BytesIO()
    async for piece in arriving(request):
        body.write(piece)
    return body.getvalue()


def from_function(result: object) -> web.Response:
    """What the function returned, as a response; TypeError where the SDK cannot send it."""
    try:
        datum: Any = sdk.HttpResponseConverter.encode(result, expected_type=None)
    except NotImplementedError:
        kind = type(result).__name__
        raise TypeError(f"unable to send a function's result of type {kind}: return str or HttpResponse") from None
    if datum.type == "string":
        return web.Response(text=datum.value)
    message: Mapping[str, Any] = datum.value
    headers: CIMultiDict[str] = CIMultiDict()
    for name, value in message["headers"].items():
        if name.lower() not in _FRAMING:
            headers[name] = value.value
    cookies: list[SimpleCookie] = message["cookies"] or []
    for cookie in cookies:
        for morsel in cookie.values():
            headers.add("Set-Cookie", morsel.OutputString())
    body: bytes = message["body"].value
    sent = SlicedBody(body) if len(body) > SLICE else body
    return web.Response(status=int(message["status_code"].value), headers=headers, body=sent)
