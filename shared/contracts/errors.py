"""Errors as clients see them: one body, one header (Azure REST API Guidelines, "Handling errors")."""

from typing import Any

from shared.contracts.http import Response, json_response
from shared.errors import ErrorBody, ErrorDetail, RequestError


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


def _detail_json(detail: ErrorDetail) -> dict[str, str]:
    body = {"code": detail.code, "message": detail.message}
    return body | {"target": detail.target} if detail.target else body
