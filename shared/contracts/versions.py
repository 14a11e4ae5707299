"""The `api-version` query parameter (Azure REST API Guidelines, "API Versioning")."""

from shared.contracts.http import Request
from shared.errors import RequestError

SUPPORTED = ("2026-01-01",)
DEFAULT = SUPPORTED[-1]


def api_version(request: Request, *, required: bool) -> str:
    """The version asked for, or the default; raises RequestError 400 with the guideline's two codes."""
    # Query names are compared without case (Azure REST API Guidelines, "URL parameters" leave it open; clients differ).
    given = [value for name, value in request.query.items() if name.lower() == "api-version"]
    if not given:
        if required:
            raise RequestError(
                400,
                "MissingApiVersionParameter",
                f"The query parameter api-version is required; supported: {', '.join(SUPPORTED)}.",
                target="api-version",
            )
        return DEFAULT
    if given[0] not in SUPPORTED:
        raise RequestError(
            400,
            "UnsupportedApiVersionValue",
            f"This api-version is not supported; supported: {', '.join(SUPPORTED)}.",
            target="api-version",
        )
    return given[0]
