"""What every app has beside its operations: health, this description, and the page that shows it."""

from collections.abc import Iterator

from shared.contracts.docs_page import OWN_FILES
from shared.contracts.openapi.parts import Operation, Scope
from shared.contracts.openapi.schemas import TypeOf
from shared.contracts.openapi.shapes import Health

TAG = "App"
DESCRIPTION = "The app itself."

_OF_THE_PAGE = (
    "Cache-Control",
    "Content-Security-Policy",
    "Cross-Origin-Opener-Policy",
    "Referrer-Policy",
    "X-Content-Type-Options",
    "X-Frame-Options",
)
_OF_A_FILE = ("ETag", "Cache-Control", "Vary", "X-Content-Type-Options")


def types() -> Iterator[TypeOf]:
    yield "health", "serialization", Health


def operations(scope: Scope) -> Iterator[Operation]:
    yield Operation(
        function_name="health",
        method="GET",
        route="health",
        tag=TAG,
        summary="Ask whether the app answers",
        responses={
            "200": scope.response("It does.", scope.schemas.of("health")),
            **scope.errors([405], anonymous=True),
        },
        anonymous=True,
    )
    versions = {"type": "string", "enum": ["3.1", "3.0"], "default": "3.1"}
    yield Operation(
        function_name="openapi",
        method="GET",
        route="openapi.json",
        tag=TAG,
        summary="Read this description",
        parameters=[
            scope.parameter("version", versions, "Of OpenAPI: 3.1.1 or 3.0.3.", required=False),
            scope.parameter(
                "If-None-Match",
                {"type": "string"},
                "An ETag that is known.",
                place="header",
                component="known",
                required=False,
            ),
        ],
        responses={
            "200": scope.response("The description.", {"type": "object"}, headers=("ETag", "Cache-Control")),
            "304": scope.response("It still has that ETag.", headers=("ETag", "Cache-Control")),
            **scope.errors([400, 405]),
        },
    )
    yield Operation(
        function_name="docs",
        method="GET",
        route="docs",
        tag=TAG,
        summary="Read this description as a page",
        responses={
            "200": scope.response("The page.", {"type": "string"}, headers=_OF_THE_PAGE, content_type="text/html"),
            **scope.errors([404, 405], anonymous=True),
        },
        anonymous=True,
    )
    file = {"name": "file", "in": "path", "required": True, "schema": {"type": "string"}, "example": OWN_FILES[0]}
    yield Operation(
        function_name="docs_file",
        method="GET",
        route="docs/{file}",
        tag=TAG,
        summary="Read a file of that page",
        parameters=[file],
        responses={
            "200": scope.response("The file.", {}, headers=_OF_A_FILE, content_type="*/*"),
            "304": scope.response("It still has that ETag.", headers=_OF_A_FILE),
            **scope.errors([404, 405], anonymous=True),
        },
        anonymous=True,
    )
