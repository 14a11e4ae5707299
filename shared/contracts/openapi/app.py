"""What every app has beside its operations: health, this description, and the pages for people."""

from collections.abc import Iterator

from shared.actions.registry import Registry
from shared.actions.routes import Endpoint
from shared.contracts.functions import DOCS, DOCS_FILE, HEALTH, OPENAPI, OPERATIONS, OPERATIONS_FILE
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
from shared.contracts.pages import OPERATIONS_FILES

PROFILE = Profile(tag="App", description="The app itself.")

_VERSION = Parameter(
    "version", "Of OpenAPI: 3.1.1 or 3.0.3.", {"type": "string", "enum": ["3.1", "3.0"], "default": "3.1"}
)

_OF_THE_DESCRIPTION = ("ETag",)
_OF_A_PAGE = (
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
    yield _page(DOCS, "Read this description as a page", errors=(404, 405))
    yield _file(DOCS_FILE, OWN_FILES[0])
    yield _page(OPERATIONS, "Watch operations on a page", revalidated=True)
    yield _file(OPERATIONS_FILE, OPERATIONS_FILES[0])


def _page(
    endpoint: Endpoint, summary: str, *, revalidated: bool = False, errors: tuple[int, ...] = (405,)
) -> DescribedOperation:
    headers = ("ETag", *_OF_A_PAGE) if revalidated else _OF_A_PAGE
    answers = {200: Answer("The page.", headers=headers, content={"text/html": TEXT})}
    if revalidated:
        answers[304] = Answer(UNCHANGED, headers=headers)
    parameters = (KNOWN_ETAG,) if revalidated else ()
    return DescribedOperation(endpoint, summary, parameters=parameters, answers=answers, errors=errors, anonymous=True)


def _file(endpoint: Endpoint, example: str) -> DescribedOperation:
    name = {"name": "file", "in": "path", "required": True, "schema": TEXT, "example": example}
    return DescribedOperation(
        endpoint,
        "Read a file of that page",
        parameters=(name,),
        answers={
            200: Answer("The file.", headers=_OF_A_FILE, content={"*/*": {}}),
            304: Answer(UNCHANGED, headers=_OF_A_FILE),
        },
        errors=(404, 405),
        anonymous=True,
    )
