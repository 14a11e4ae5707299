"""The `api-version` query parameter (Azure REST API Guidelines, "API Versioning")."""

from collections.abc import Iterable

from shared.contracts.http import Request
from shared.errors import RequestError

SUPPORTED = ("2026-01-01",)
DEFAULT = SUPPORTED[-1]


def api_version(request: Request, *, required: bool, supported: Iterable[str] = SUPPORTED) -> str:
    """The version asked for, or the default; raises RequestError 400 with the guideline's two codes."""
    # Query names are compared without case (Azure REST API Guidelines, "URL parameters" leave it open; clients differ).
    given = [value for name, value in request.query.items() if name.lower() == "api-version"]
    if not given:
        if required:
            message = f"The query parameter api-version is required; supported: {', '.join(supported)}."
            raise RequestError(400, "MissingApiVersionParameter", message, target="api-version")
        return DEFAULT
    if given[0] not in supported:
        message = f"This api-version is not supported; supported: {', '.join(supported)}."
        raise RequestError(400, "UnsupportedApiVersionValue", message, target="api-version")
    return given[0]
