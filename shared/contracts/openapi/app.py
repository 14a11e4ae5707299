"""What every app has beside its operations: health, this description, and the page that shows it."""

from collections.abc import Iterator

from shared.actions.registry import Registry
from shared.contracts.functions import DOCS, DOCS_FILE, HEALTH, OPENAPI
from shared.contracts.openapi.docs_page import OWN_FILES
from shared.contracts.openapi.parts import (
    KNOWN_ETAG,
    TEXT,
    UNCHANGED,
    Answer,
    DescribedOperation,
    Parameter,
    Profile,
    Scope,
)
from shared.contracts.openapi.schemas import TypeOf
from shared.contracts.openapi.shapes import Health

PROFILE = Profile(tag="App", description="The app itself.")

_VERSION = Parameter(
    "version", "Of OpenAPI: 3.1.1 or 3.0.3.", {"type": "string", "enum": ["3.1", "3.0"], "default": "3.1"}
)
_FILE = {"name": "file", "in": "path", "required": True, "schema": TEXT, "example": OWN_FILES[0]}

_OF_THE_DESCRIPTION = ("ETag",)
_OF_THE_PAGE = (
    "Content-Security-Policy",
    "Cross-Origin-Opener-Policy",
    "Referrer-Policy",
    "X-Frame-Options",
)
_OF_A_FILE = ("ETag", "Vary")


def types(registry: Registry) -> Iterator[TypeOf]:
    yield "health", "serialization", Health


def operations(scope: Scope) -> Iterator[DescribedOperation]:
    yield DescribedOperation(
        HEALTH,
        "Ask whether the app can do its work",
        answers={
            200: Answer("It can.", scope.schemas.of("health")),
            503: Answer(
                "It cannot: `problems` has codes, the app's log the rest.",
                scope.schemas.of("health"),
                ("Wait.Retry-After",),
            ),
        },
        errors=(405,),
        anonymous=True,
    )
    yield DescribedOperation(
        OPENAPI,
        "Read this description",
        parameters=(_VERSION, KNOWN_ETAG),
        answers={
            200: Answer("The description.", {"type": "object"}, _OF_THE_DESCRIPTION),
            304: Answer(UNCHANGED, headers=_OF_THE_DESCRIPTION),
        },
        errors=(400, 405),
    )
    yield DescribedOperation(
        DOCS,
        "Read this description as a page",
        answers={200: Answer("The page.", headers=_OF_THE_PAGE, content={"text/html": TEXT})},
        errors=(404, 405),
        anonymous=True,
    )
    yield DescribedOperation(
        DOCS_FILE,
        "Read a file of that page",
        parameters=(_FILE,),
        answers={
            200: Answer("The file.", headers=_OF_A_FILE, content={"*/*": {}}),
            304: Answer(UNCHANGED, headers=_OF_A_FILE),
        },
        errors=(404, 405),
        anonymous=True,
    )
