"""The words that profiles describe their routes with: parameters, answers, and one HTTP operation.

All are values; `components` writes them into the document.
"""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, field
from typing import Any, Literal

from shared.actions.registry import Registry
from shared.actions.routes import Endpoint
from shared.contracts import labels, scheduling
from shared.contracts.openapi.dialect import Json
from shared.contracts.openapi.schemas import Schemas
from shared.contracts.paging import MAX_TOP
from shared.frozen import frozen
from shared.model.ids import ID_PATTERN
from shared.settings import Settings

JSON = "application/json"
TEXT: Json = {"type": "string"}

BODY_ERRORS = (411, 413, 415)
"""What any request with a body may get."""

PAGEABLE: Json = {"x-ms-pageable": {"nextLinkName": "nextLink"}}
"""The mark of a list (Azure/autorest, extensions: `x-ms-pageable`)."""


@frozen(kw_only=True, slots=False)
class Profile:
    """One group of the document, and what all its operations have in common."""

    tag: str
    description: str
    first_headers: tuple[str, ...] = ()
    """Of every answer, errors as well, before those that it names itself."""
    last_headers: tuple[str, ...] = ()
    """The same, after them."""
    error_prefix: str = ""
    """Of the names of its error answers: errors of one name have the same headers."""


@frozen(kw_only=True, slots=False)
class Scope:
    """What a profile describes from."""

    registry: Registry
    settings: Settings
    schemas: Schemas

    @property
    def needs_key(self) -> bool:
        return self.settings.http_auth_level == "function"

    @property
    def needs_sign_in(self) -> bool:
        return self.settings.trust_platform_auth


@frozen(slots=False)
class Parameter:
    """A parameter that becomes a component, for operations to refer to."""

    name: str
    description: str
    schema: Json = field(default_factory=lambda: TEXT)
    _: KW_ONLY
    place: Literal["query", "header"] = "query"
    required: bool = False
    component: str = ""
    """Tells several of one name apart; the name without `$` where empty."""


@frozen(slots=False)
class Answer:
    """An answer that is no error. `headers` are names in `components.HEADERS`."""

    description: str
    schema: Json | None = None
    """Of its JSON; None for an answer without."""
    headers: Sequence[str] = ()
    content: Mapping[str, Json] = field(default_factory=dict[str, Json])
    """Schemas of its other forms, by media type."""
    links: Json | None = None


@frozen(slots=False)
class DescribedOperation:
    """The first method of an endpoint."""

    endpoint: Endpoint
    summary: str
    description: str = ""
    _: KW_ONLY
    answers: Mapping[int, Answer]
    parameters: Sequence[Json | Parameter] = ()
    body: Json | None = None
    errors: Sequence[int] = ()
    """Beside those that any request may get: 401, 500, 503."""
    waiting_errors: Sequence[int] = ()
    """Errors after which there is something to wait for: they have `Retry-After`."""
    other_error: bool = False
    """Whether code of the app's own may refuse with a status of its choice."""
    anonymous: bool = False
    security: Sequence[Json] | None = None
    """Where it differs from the app's."""
    extensions: Mapping[str, Any] = field(default_factory=dict[str, Any])
    listed_first: Sequence[Parameter | str] = ()
    """Shared parameters and names of headers that stand before its others among the components."""


def at(function_name: str, method: str, route: str) -> Endpoint:
    return Endpoint(function_name, (method,), route, __name__)


def header(name: str, description: str, component: str = "") -> Parameter:
    """A header that a request may have."""
    return Parameter(name, description, place="header", component=component)


WAIT = ("Retry-After", "retry-after-ms", "Operation-Not-Before")
"""Of the answer to a poll, while there is something to wait for."""
START_HEADERS = (
    "Operation-Location",
    "Operation-Id",
    "Retry-After",
    "retry-after-ms",
    "Operation-Not-Before",
    "Preference-Applied",
)
OPERATION_ID = Parameter(
    "Operation-Id",
    "The operation's id, where the caller chooses it: the same request again finds the same operation.",
    {"type": "string", "pattern": f"^{ID_PATTERN}$"},
    place="header",
)
LABELS = header(
    labels.HEADER, f"At most {labels.MAX_LABELS} labels with commas between them, to find the operation by in lists."
)
NOT_BEFORE = header(
    scheduling.HEADER, "When to begin at the earliest: a date-time with an offset, before the operation's deadline."
)
KNOWN_ETAG = header("If-None-Match", "An ETag that is known.", "known")
UNCHANGED = "It still has that ETag."


def of_a_monitor(description: str, schema: Json) -> dict[int, Answer]:
    """The answers to the GET of a status monitor, which once it has ended may be asked whether it is still known."""
    return {
        200: Answer(description, schema, (*WAIT, "Monitor.ETag")),
        304: Answer(UNCHANGED, headers=("Monitor.ETag",)),
    }


def body_of(schema: Json, *, required: bool) -> Json:
    return {"required": required, "content": {JSON: {"schema": schema}}}


def path_parameter(name: str, schema: Json, description: str = "") -> Json:
    found = {"name": name, "in": "path", "required": True, "schema": schema}
    return found | {"description": description} if description else found


def paging(sign: str = "", component: str = "") -> list[Parameter]:
    """Page size and token of a list; `sign` is before their names, `component` before those of their components."""
    size: Json = {"type": "integer", "minimum": 1, "maximum": MAX_TOP}
    return [
        Parameter(f"{sign}top", "Page size.", size, component=f"{component}top"),
        Parameter(f"{sign}skipToken", "From `nextLink`; follow that as it is.", component=f"{component}skipToken"),
    ]


def written(resource: Json | None, headers: Sequence[str]) -> dict[int, Answer]:
    """The first answers to a PUT of a resource."""
    return {
        200: Answer("The resource was there; what it is going to be.", resource, headers),
        201: Answer("The resource is new; what it is going to be.", resource, headers),
    }


def lro(final_state_via: str | None, final_schema: Json | None = None) -> dict[str, Any]:
    """The marks of a start (Azure/autorest, extensions: `x-ms-long-running-operation` and its options).

    Where a monitor names its `resourceLocation` nothing is said of the final state: azure-core and Azure.Core do not
    follow it where the monitor is said to have it (observed).
    """
    options: Json = {} if final_state_via is None else {"final-state-via": final_state_via}
    if final_schema is not None and "$ref" in final_schema:
        options["final-state-schema"] = final_schema["$ref"]
    return {"x-ms-long-running-operation": True, "x-ms-long-running-operation-options": options}


def without_null(schema: Json) -> Json:
    """A parameter's schema: a URL has no null."""
    choices = [each for each in schema.get("anyOf", []) if each != {"type": "null"}]
    if len(choices) != 1 or len(choices) == len(schema.get("anyOf", [])):
        return schema
    return {**{name: value for name, value in schema.items() if name != "anyOf"}, **choices[0]}


def words_of(handler: Any, default: str) -> tuple[str, str]:
    """Summary and description from a function's docstring: its first line, and the rest."""
    text = (getattr(handler, "__doc__", None) or "").strip()
    first, _, rest = text.partition("\n\n")
    summary = " ".join(first.split()) or default
    return summary, "\n\n".join(" ".join(part.split()) for part in rest.split("\n\n") if part.strip())
