"""What the operations of every profile are made of: parameters, headers, errors, and one HTTP operation."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.actions.registry import Registry
from shared.contracts.openapi.dialect import Json
from shared.contracts.openapi.schemas import Schemas, TypeOf
from shared.contracts.openapi.shapes import ErrorResponse
from shared.settings import Settings

ERROR = "error"
TYPES: tuple[TypeOf, ...] = ((ERROR, "serialization", ErrorResponse),)
JSON = "application/json"

KEY_SCHEME, SIGNED_IN_SCHEME = "functionKey", "signedIn"

ERRORS: Mapping[int, str] = {
    400: "The request does not fit; `code` and `details` say what and where.",
    401: "The key or the sign-in is missing or wrong. The platform itself answers without a body.",
    404: "There is no such resource, operation or route; somebody else's operation is not found either.",
    405: "The path names something that takes other methods; `Allow` says which.",
    406: "What is asked for with `Accept` or `$format` is no form of the answer.",
    409: "It conflicts with what is there: another operation is at work, the id is in use, or it is not finished.",
    410: "What was here has been removed.",
    411: "Send the body with Content-Length: the platform drops chunked bodies.",
    412: "A condition in a header does not hold.",
    413: "The body, or what it describes, is too large.",
    415: "Send the body as application/json.",
    500: "Something went wrong; the app's log has more.",
    501: "OData has it and this service does not, or it needs `Prefer: respond-async`; trying again does not help.",
    503: "Storage cannot be reached right now; try again.",
}
BODY_ERRORS = (411, 413, 415)
SERVER_ERRORS = (500, 503)

HEADERS: Mapping[str, tuple[Json, str, bool]] = {
    "x-ms-request-id": ({"type": "string", "format": "uuid"}, "Names this request in the app's log.", True),
    "x-ms-client-request-id": ({"type": "string"}, "The caller's own id, where it sent one.", False),
    "x-ms-correlation-request-id": ({"type": "string"}, "The caller's, or else the request id.", True),
    "x-ms-error-code": ({"type": "string"}, "`error.code` of the body.", True),
    "Access-Control-Expose-Headers": ({"type": "string"}, "Sent to requests with `Origin`.", False),
    "AsyncResult": ({"type": "integer"}, "The status of the final answer, where that is not enclosed.", False),
    "Allow": ({"type": "string"}, "The methods that are possible.", True),
    "Azure-AsyncOperation": ({"type": "string", "format": "uri"}, "Where to poll: operationStatuses.", True),
    "Cache-Control": ({"type": "string"}, "How long the answer may be kept.", True),
    "Content-Security-Policy": ({"type": "string"}, "What a browser may load and do on the page.", True),
    "Cross-Origin-Opener-Policy": ({"type": "string"}, "Keeps the page apart from others.", True),
    "ETag": ({"type": "string"}, "Names this state of the resource.", True),
    "Entity.ETag": ({"type": "string"}, "Names this state of the entity, where its source tells states apart.", False),
    "Entity.Location": ({"type": "string", "format": "uri"}, "The new entity.", True),
    "Location": ({"type": "string", "format": "uri"}, "Where to poll: operationResults.", True),
    "Monitor.Location": ({"type": "string", "format": "uri"}, "Where to poll next.", True),
    "OData-EntityId": ({"type": "string", "format": "uri"}, "The entity that was written.", True),
    "OData-Version": ({"type": "string", "enum": ["4.0", "4.01"]}, "Of the answer.", True),
    "Operation-Id": ({"type": "string"}, "The operation's id.", True),
    "Operation-Location": ({"type": "string", "format": "uri"}, "Where to poll: the operation's monitor.", True),
    "Preference-Applied": ({"type": "string"}, "How long was waited for at most, where that was asked for.", False),
    "Preferences.Preference-Applied": ({"type": "string"}, "What was honored of `Prefer`.", False),
    "RespondAsync.Preference-Applied": ({"type": "string"}, "`respond-async`, and how long was waited for.", True),
    "Referrer-Policy": ({"type": "string"}, "Keeps the page's address from others.", True),
    "Retry-After": ({"type": "integer", "minimum": 1}, "Seconds to wait; until the operation has ended.", False),
    "Wait.Retry-After": ({"type": "integer", "minimum": 1}, "Seconds to wait.", True),
    "Vary": ({"type": "string"}, "The headers of the request that have chosen the answer.", True),
    "X-Content-Type-Options": ({"type": "string"}, "The content type is meant.", True),
    "X-Frame-Options": ({"type": "string"}, "Keeps the page out of frames.", True),
}
"""Schema, description, and whether the answers that list it always have it.

Before a dot stands what tells two of the same name apart.
"""

COMMON_HEADERS = ("x-ms-request-id", "x-ms-client-request-id", "Access-Control-Expose-Headers")


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One method of one path."""

    function_name: str
    method: str
    route: str
    tag: str
    summary: str
    description: str = ""
    parameters: Sequence[Json] = ()
    body: Json | None = None
    responses: Mapping[str, Json] = field(default_factory=dict[str, Json])
    anonymous: bool = False
    security: Sequence[Json] | None = None
    """Where it differs from the app's."""
    extensions: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What a profile describes from, and the components its operations refer to."""

    registry: Registry
    settings: Settings
    schemas: Schemas
    parameters: dict[str, Json] = field(default_factory=dict[str, Json])
    headers: dict[str, Json] = field(default_factory=dict[str, Json])
    responses: dict[str, Json] = field(default_factory=dict[str, Json])

    @property
    def asks_for_a_key(self) -> bool:
        return self.settings.http_auth_level == "function"

    @property
    def asks_who_calls(self) -> bool:
        return self.settings.trust_platform_auth and self.settings.platform_auth_enabled

    def parameter(self, name: str, schema: Json, description: str, *, place: str = "query", **more: Any) -> Json:
        """A shared parameter; the reference to it. Several of one name differ by `component`."""
        component: str = more.pop("component", name.strip("$").replace(".", "_"))
        self.parameters[component] = {"name": name, "in": place, "description": description, **more, "schema": schema}
        return {"$ref": f"#/components/parameters/{component}"}

    def header(self, name: str) -> Json:
        schema, description, required = HEADERS[name]
        self.headers[name] = {"description": description, "required": required, "schema": schema}
        return {"$ref": f"#/components/headers/{name}"}

    def response(
        self, description: str, schema: Json | None = None, *, headers: Iterable[str] = (), content_type: str = JSON
    ) -> Json:
        """An answer with the headers that every answer has, and these."""
        every = (*COMMON_HEADERS, *headers)
        found: Json = {"description": description, "headers": {n.rpartition(".")[2]: self.header(n) for n in every}}
        return found if schema is None else found | {"content": {content_type: {"schema": schema}}}

    def errors(
        self, statuses: Iterable[int], *, headers: Iterable[str] = (), name: str = "", anonymous: bool = False
    ) -> dict[str, Json]:
        """References to the error answers, by status. 401 is there where callers have to show something."""
        asks = not anonymous and (self.asks_for_a_key or self.asks_who_calls)
        wanted = {*statuses, *SERVER_ERRORS} | ({401} if asks else set[int]())
        return {str(status): self.error(status, headers=headers, name=name) for status in sorted(wanted)}

    def other_error(self, *, headers: Iterable[str] = (), name: str = "") -> dict[str, Json]:
        """For code of the app's own that refuses with a status of its choice."""
        description = "Any other error that the action's own checks answer."
        error = self.response(description, self.schemas.of(ERROR), headers=("x-ms-error-code", *headers))
        return {"default": self._shared(f"{name}OtherError", error)}

    def error(self, status: int, *, headers: Iterable[str] = (), name: str = "") -> Json:
        """A reference to one error answer. Those of one name and status have the same headers."""
        more = {405: ("Allow",), 503: ("Wait.Retry-After",)}.get(status, ())
        found = self.response(ERRORS[status], self.schemas.of(ERROR), headers=("x-ms-error-code", *headers, *more))
        if status == 401:
            # The platform's own has neither body nor headers of ours.
            found["headers"] = {}
        return self._shared(f"{name}Error{status}", found)

    def _shared(self, component: str, error: Json) -> Json:
        kept = self.responses.setdefault(component, {**error, "x-ms-error-response": True})
        assert kept["headers"] == error["headers"], f"{component} is declared with other headers; name it otherwise"
        return {"$ref": f"#/components/responses/{component}"}


def body_of(schema: Json, *, required: bool) -> Json:
    return {"required": required, "content": {JSON: {"schema": schema}}}


def path_parameter(name: str, schema: Json, description: str = "") -> Json:
    found = {"name": name, "in": "path", "required": True, "schema": schema}
    return found | {"description": description} if description else found


def lro(final_state_via: str, final_schema: Json | None = None) -> dict[str, Any]:
    """The marks of a start (Azure/autorest, extensions: `x-ms-long-running-operation` and its options)."""
    options: Json = {"final-state-via": final_state_via}
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
