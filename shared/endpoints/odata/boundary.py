"""The boundary of the OData profile, and its answers: those of every profile, with OData's headers."""

from collections.abc import Awaitable, Callable
from typing import Any

from shared.actions.odata.entities import Stored
from shared.contracts.http import Request, Response, json_response
from shared.contracts.odata import media
from shared.contracts.odata.etags import etag_header
from shared.endpoints import boundary
from shared.errors import RequestError
from shared.frozen import replace


async def answer(request: Request, endpoint: Callable[[Request], Awaitable[Response]]) -> Response:
    """The endpoint's answer, or the error it ended in, with OData-Version (OData Protocol 4.01, section 8.1.5)."""
    return with_version(request, await boundary.answer(request, endpoint))


def with_version(request: Request, response: Response) -> Response:
    """The answer with the version it is written in; one that names its own keeps it."""
    try:
        version = media.odata_version(request)
    except RequestError:
        version = "4.01"
    return replace(response, headers={"OData-Version": version, **response.headers})


def etag_of(stored: Stored) -> dict[str, str]:
    """The header of an entity's ETag, where its source has one."""
    tag = etag_header(stored)
    return {"ETag": tag} if tag else {}


def json_answer(
    status: int, body: dict[str, Any], representation: media.Representation, headers: dict[str, str] | None = None
) -> Response:
    """`body` in the form that was asked for."""
    return replace(json_response(status, body, headers), content_type=media.content_type(representation))
