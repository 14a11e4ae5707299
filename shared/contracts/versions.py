"""The `api-version` query parameter (Azure REST API Guidelines, "API Versioning")."""

from collections.abc import Collection

from shared.contracts.http import Request
from shared.errors import RequestError

SUPPORTED = ("2026-01-01",)
DEFAULT = SUPPORTED[-1]


def api_version(request: Request, *, required: bool, supported: Collection[str] = SUPPORTED) -> str:
    """The version asked for, or the default; raises RequestError 400 with the guideline's two codes.

    The same version twice is that version: clients add theirs to the URLs of monitors and pages that have it already.
    """
    # Query names are compared without case (Azure REST API Guidelines, "URL parameters" leave it open; clients differ).
    values = [value for name, value in request.query.items() if name.lower() == "api-version"]
    if len(values) == 1 and values[0] in supported:
        return values[0]
    # The host joins the values of one name by commas.
    given = list(dict.fromkeys(each for value in values for each in value.split(",")))
    if not given:
        if required:
            message = f"The query parameter api-version is required; supported: {', '.join(supported)}."
            raise RequestError(400, "MissingApiVersionParameter", message, target="api-version")
        return DEFAULT
    if len(given) > 1:
        message = f"api-version is there with several values; give one, supported: {', '.join(supported)}."
        raise RequestError(400, "UnsupportedApiVersionValue", message, target="api-version")
    if given[0] not in supported:
        message = f"This api-version is not supported; supported: {', '.join(supported)}."
        raise RequestError(400, "UnsupportedApiVersionValue", message, target="api-version")
    return given[0]
