"""Errors as clients see them: one body, one header (Azure REST API Guidelines, "Handling errors")."""

from typing import Any

from pydantic import ValidationError

from shared.contracts.http import Response, json_response
from shared.errors import ErrorBody, ErrorDetail, RequestError, wording

_PYDANTIC_CODES = {"missing": "MissingField", "extra_forbidden": "UnknownField"}


def error_json(error: ErrorBody | RequestError) -> dict[str, Any]:
    """The inside of `{"error": ...}`; members that say nothing are left out."""
    body: dict[str, Any] = {"code": error.code, "message": error.message}
    if error.target:
        body["target"] = error.target
    if error.details:
        body["details"] = [_detail_json(detail) for detail in error.details]
    return body


def error_response(error: RequestError) -> Response:
    headers = {"x-ms-error-code": error.code, **error.headers}
    return json_response(error.status, {"error": error_json(error)}, headers)


def validation_error(error: ValidationError) -> RequestError:
    """400 InvalidInput that names every field which does not fit, and never repeats its value."""
    details = tuple(
        ErrorDetail(_PYDANTIC_CODES.get(e["type"], "InvalidValue"), wording(e), ".".join(map(str, e["loc"])) or None)
        for e in error.errors(include_url=False, include_input=False)
    )
    fields = ", ".join(detail.target for detail in details if detail.target)
    message = f"The request does not fit: {fields}." if fields else f"The request does not fit: {details[0].message}."
    return RequestError(400, "InvalidInput", message, details=details)


def _detail_json(detail: ErrorDetail) -> dict[str, str]:
    body = {"code": detail.code, "message": detail.message}
    return body | {"target": detail.target} if detail.target else body
