"""The boundary: whatever happens inside, the caller gets an answer of ours that reveals nothing."""

import json
import logging

import pytest

from shared import errors
from shared.contracts.http import Request, Response
from shared.endpoints.boundary import answer
from shared.errors import ErrorDetail, RequestError

REQUEST = Request(method="GET", url="http://h/x", headers={"origin": "o", "x-ms-client-request-id": "c"})
SECRET = "AccountKey=secret"

RAISED: list[tuple[Exception, int, str]] = [
    (errors.StorageUnavailable(SECRET), 503, "StorageUnavailable"),
    (errors.StorageUnusable(SECRET), 503, "StorageUnavailable"),
    (errors.StorageAnswerLost(SECRET), 503, "StorageUnavailable"),
    (errors.StorageConflict(SECRET), 503, "StorageUnavailable"),
    (errors.StorageError(SECRET), 503, "StorageUnavailable"),
    (errors.StorageRefused(SECRET), 500, "InternalError"),
    (errors.SettingsError(SECRET), 500, "InvalidConfiguration"),
    (errors.NamespaceTaken(SECRET), 500, "InvalidConfiguration"),
    (errors.DeclarationError(SECRET), 500, "InternalError"),
    (errors.ActionFailed("C", SECRET), 500, "InternalError"),
    (errors.ActionCanceled(SECRET), 500, "InternalError"),
    (errors.TransitionError("claim", SECRET), 500, "InternalError"),
    (errors.FenceLost(SECRET), 500, "InternalError"),
    (errors.EngineError(SECRET), 500, "InternalError"),
    (errors.LroError(SECRET), 500, "InternalError"),
    (ValueError(SECRET), 500, "InternalError"),
    (ExceptionGroup(SECRET, [ValueError(SECRET)]), 500, "InternalError"),
]


def test_every_error_is_covered() -> None:
    """The table below has every error of the tree."""
    tree = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.LroError)}
    assert tree - {type(error) for error, _, _ in RAISED} == {RequestError}


@pytest.mark.parametrize(("error", "status", "code"), RAISED, ids=lambda value: type(value).__name__)
async def test_errors(error: Exception, status: int, code: str, caplog: pytest.LogCaptureFixture) -> None:
    """Each exception has its status and code, the headers of every answer, and a log entry; nothing internal leaks."""

    async def endpoint(request: Request) -> Response:
        raise error

    with caplog.at_level(logging.WARNING):
        response = await answer(REQUEST, endpoint)
    assert (response.status, response.headers["x-ms-error-code"]) == (status, code)
    assert json.loads(response.body)["error"]["code"] == code
    assert response.headers["x-ms-request-id"]
    assert response.headers["x-ms-client-request-id"] == "c"
    assert "Access-Control-Expose-Headers" in response.headers
    assert ("Retry-After" in response.headers) == (status == 503)
    assert "secret" not in response.body.decode() + str(response.headers)
    assert caplog.records


async def test_request_error() -> None:
    """A refusal is answered as raised, with its details and headers."""

    async def endpoint(request: Request) -> Response:
        raise RequestError(
            405, "No", "Not so.", target="t", details=[ErrorDetail("D", "m", "x")], headers={"Allow": "GET"}
        )

    response = await answer(REQUEST, endpoint)
    assert (response.status, response.headers["Allow"]) == (405, "GET")
    assert json.loads(response.body) == {
        "error": {
            "code": "No",
            "message": "Not so.",
            "target": "t",
            "details": [{"code": "D", "message": "m", "target": "x"}],
        }
    }


@pytest.mark.parametrize("url", ["http://[::1/x", "", "http://h"])
async def test_odd_requests(url: str) -> None:
    """Neither a URL nobody can read nor half a surrogate keeps the boundary from answering."""

    async def endpoint(request: Request) -> Response:
        raise (RequestError(400, "Bad", "\ud800") if url == "" else ValueError)

    response = await answer(Request(method="GET", url=url), endpoint)
    assert response.status in (400, 500)
    json.loads(response.body)


async def test_a_coded_body_reaches_nothing() -> None:
    """It is refused before anything of the app sees the request."""

    async def endpoint(request: Request) -> Response:
        raise AssertionError

    response = await answer(Request(method="POST", url="", headers={"content-encoding": "br"}, body=b"x"), endpoint)
    assert (response.status, response.headers["x-ms-error-code"]) == (415, "UnsupportedContentEncoding")
    assert response.headers["Accept-Encoding"] == "identity"


async def test_what_caches_and_browsers_are_told() -> None:
    """An answer is kept by nobody unless it says so itself, and its content type is meant; errors are no exception."""

    async def endpoint(request: Request) -> Response:
        if not request.url:
            raise RequestError(400, "Bad", "So.")
        return Response(status=200, headers={"Cache-Control": "no-cache"} if request.url == "own" else {})

    for url, kept in (("", "no-store"), ("any", "no-store"), ("own", "no-cache")):
        response = await answer(Request(method="GET", url=url), endpoint)
        assert response.headers["Cache-Control"] == kept
        assert response.headers["X-Content-Type-Options"] == "nosniff"


async def test_answers_pass() -> None:
    """An answer keeps its own status, body and headers."""

    async def endpoint(request: Request) -> Response:
        return Response(status=204, headers={"A": "b"})

    response = await answer(REQUEST, endpoint)
    assert (response.status, response.body, response.headers["A"]) == (204, b"", "b")
