"""The border of the OData profile: that of every profile, with OData's headers."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from shared.contracts.http import Request, Response
from shared.contracts.odata import media
from shared.endpoints import border
from shared.errors import RequestError


async def answer(request: Request, endpoint: Callable[[Request], Awaitable[Response]]) -> Response:
    """The endpoint's answer, or the error it ended in, with OData-Version (OData Protocol 4.01, section 8.1.5)."""
    return with_version(request, await border.answer(request, endpoint))


def with_version(request: Request, response: Response) -> Response:
    """The answer with the version it is written in; one that names its own keeps it."""
    try:
        version = media.odata_version(request)
    except RequestError:
        version = "4.01"
    return replace(response, headers={"OData-Version": version, **response.headers})
