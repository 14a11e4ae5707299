"""Parameters, headers and answers as the document has them: each written once, and referred to."""

from collections.abc import Iterable, Mapping

from shared.contracts.openapi.dialect import Json
from shared.contracts.openapi.parts import JSON, TEXT, Answer, DescribedOperation, Parameter, Profile, Scope
from shared.contracts.openapi.schemas import TypeOf
from shared.contracts.openapi.shapes import ErrorResponse

_ERROR = "error"
TYPES: tuple[TypeOf, ...] = ((_ERROR, "serialization", ErrorResponse),)

_URI: Json = {"type": "string", "format": "uri"}

ERRORS: Mapping[int, str] = {
    400: "The request does not fit; `code` and `details` say what and where.",
    401: "The key or the sign-in is missing or wrong. The platform itself answers without a body.",
    403: "A role is missing; the message names it.",
    404: "There is no such resource, operation or route; somebody else's operation is not found either.",
    405: "The path names something that takes other methods; `Allow` says which.",
    406: "What is asked for with `Accept` or `$format` is no form of the answer.",
    409: "It conflicts with what is there: another operation is at work, the id is in use, or it is not finished.",
    410: "What was here has been removed.",
    411: "Send the body with Content-Length: the platform drops chunked bodies.",
    412: "A condition in a header does not hold.",
    413: "The body, or what it describes, is too large.",
    415: "Send the body as application/json, without a Content-Encoding.",
    500: "Something went wrong; the app's log has more.",
    501: "OData has it and this service does not, or it needs `Prefer: respond-async`; trying again does not help.",
    503: "Storage cannot be reached right now, or the action is paused; try again.",
}
SERVER_ERRORS = (500, 503)

HEADERS: Mapping[str, tuple[Json, str, bool]] = {
    "x-ms-request-id": ({"type": "string", "format": "uuid"}, "Names this request in the app's log.", True),
    "x-ms-client-request-id": (TEXT, "The caller's own id, where it sent one.", False),
    "x-ms-correlation-request-id": (TEXT, "The caller's, or else the request id.", True),
    "x-ms-error-code": (TEXT, "`error.code` of the body.", True),
    "Accept-Encoding": (TEXT, "`identity`, where the body was refused for its Content-Encoding.", False),
    "Access-Control-Expose-Headers": (TEXT, "Sent to requests with `Origin`.", False),
    "AsyncResult": ({"type": "integer"}, "The status of the final answer, where that is not enclosed.", False),
    "Allow": (TEXT, "The methods that are possible.", True),
    "Azure-AsyncOperation": (_URI, "Where to poll: operationStatuses.", True),
    "Cache-Control": (TEXT, "How long the answer may be kept.", True),
    "Content-Security-Policy": (TEXT, "What a browser may load and do on the page.", True),
    "Cross-Origin-Opener-Policy": (TEXT, "Keeps the page apart from others.", True),
    "ETag": (TEXT, "Names this state of the resource.", True),
    "Entity.ETag": (TEXT, "Names this state of the entity, where its source tells states apart.", False),
    "Entity.Location": (_URI, "The new entity.", True),
    "Location": (_URI, "Where to poll: operationResults.", True),
    "Monitor.ETag": (TEXT, "Names this state, once the operation has ended.", False),
    "Monitor.Location": (_URI, "Where to poll next.", True),
    "OData-EntityId": (_URI, "The entity that was written.", True),
    "OData-Version": ({"type": "string", "enum": ["4.0", "4.01"]}, "Of the answer.", True),
    "Operation-Id": (TEXT, "The operation's id.", True),
    "Operation-Not-Before": (
        {"type": "string", "format": "date-time"},
        "When the first attempt begins at the earliest, where the start has named that.",
        False,
    ),
    "Operation-Location": (_URI, "Where to poll: the operation's monitor.", True),
    "Preference-Applied": (TEXT, "How long was waited for at most, where that was asked for.", False),
    "Preferences.Preference-Applied": (TEXT, "What was honored of `Prefer`.", False),
    "RespondAsync.Preference-Applied": (TEXT, "`respond-async`, and how long was waited for.", True),
    "Referrer-Policy": (TEXT, "Keeps the page's address from others.", True),
    "Retry-After": ({"type": "integer", "minimum": 1}, "Seconds to wait; until the operation has ended.", False),
    "Wait.Retry-After": ({"type": "integer", "minimum": 1}, "Seconds to wait.", True),
    "retry-after-ms": (
        {"type": "integer", "minimum": 1},
        "Milliseconds after which a poll may find the end.",
        False,
    ),
    "Vary": (TEXT, "The headers of the request that have chosen the answer.", True),
    "X-Content-Type-Options": (TEXT, "The content type is meant.", True),
    "X-Frame-Options": (TEXT, "Keeps the page out of frames.", True),
}
"""Schema, description, and whether the answers that list it always have it.

Before a dot stands what tells two of the same name apart.
"""

COMMON_HEADERS = (
    "x-ms-request-id",
    "x-ms-client-request-id",
    "Access-Control-Expose-Headers",
    "Cache-Control",
    "X-Content-Type-Options",
)


class Components:
    """What operations refer to, and the operations written with those references."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self.parameters: dict[str, Json] = {}
        self.headers: dict[str, Json] = {}
        self.responses: dict[str, Json] = {}
        self._headers_of: dict[str, tuple[str, ...]] = {}
        """Of the error answers among `responses`."""

    def operation(self, profile: Profile, described: DescribedOperation, names: Mapping[str, str]) -> Json:
        """One method of a path; `names` are the path's names of the parameters in the route."""
        for each in described.listed_first:
            self._header(each) if isinstance(each, str) else self._parameter(each, names)
        found: Json = {
            "operationId": described.endpoint.function_name,
            "tags": [profile.tag],
            "summary": described.summary,
            "description": described.description,
            "parameters": [self._parameter(each, names) for each in described.parameters],
            "requestBody": described.body,
            "responses": {
                **{
                    str(status): self._response(each, (*profile.first_headers, *each.headers, *profile.last_headers))
                    for status, each in described.answers.items()
                },
                **self._errors(profile, described),
            },
            "security": [] if described.anonymous else described.security,
            **described.extensions,
        }
        return {name: value for name, value in found.items() if value not in (None, "")}

    def error(self, profile: Profile, status: int, *, waiting: bool = False) -> Json:
        """A reference to one error answer; `waiting` for one with `Retry-After`."""
        own = {405: ("Allow",), 409: ("Retry-After",), 415: ("Accept-Encoding",), 503: ("Wait.Retry-After",)}
        more = ("Retry-After",) if waiting else own.get(status, ())
        return self._shared(profile, f"{'Result' if waiting else ''}Error{status}", ERRORS[status], more)

    def _errors(self, profile: Profile, described: DescribedOperation) -> dict[str, Json]:
        """References by status. 401 is there where callers have to show something."""
        needs = not described.anonymous and (self._scope.needs_key or self._scope.needs_sign_in)
        statuses = {*described.errors, *SERVER_ERRORS, *((401,) if needs else ())} - described.answers.keys()
        found = {str(status): self.error(profile, status) for status in sorted(statuses)}
        found |= {str(status): self.error(profile, status, waiting=True) for status in described.waiting_errors}
        if described.other_error:
            found["default"] = self._shared(
                profile, "OtherError", "Any other error that the action's own checks answer."
            )
        return found

    def _shared(self, profile: Profile, name: str, description: str, headers: Iterable[str] = ()) -> Json:
        """An error answer as a component; the reference to it. Those of one name have the same headers."""
        names = ("x-ms-error-code", *profile.first_headers, *profile.last_headers, *headers)
        component = f"{profile.error_prefix}{name}"
        if component not in self.responses:
            error = self._response(Answer(description, self._scope.schemas.of(_ERROR)), names)
            if name == "Error401":
                # The platform's own has neither body nor headers of ours.
                error["headers"] = {}
            self.responses[component] = {**error, "x-ms-error-response": True}
            self._headers_of[component] = names
        assert self._headers_of[component] == names, f"{component} is declared with other headers; name it otherwise"
        return {"$ref": f"#/components/responses/{component}"}

    def _response(self, answer: Answer, headers: Iterable[str]) -> Json:
        names = (*COMMON_HEADERS, *headers)
        content = answer.content if answer.schema is None else {JSON: answer.schema, **answer.content}
        found: Json = {
            "description": answer.description,
            "headers": {name.rpartition(".")[2]: self._header(name) for name in names},
            "content": {media_type: {"schema": schema} for media_type, schema in content.items()},
            "links": answer.links,
        }
        return {name: value for name, value in found.items() if value}

    def _header(self, name: str) -> Json:
        schema, description, required = HEADERS[name]
        self.headers[name] = {"description": description, "required": required, "schema": schema}
        return {"$ref": f"#/components/headers/{name}"}

    def _parameter(self, parameter: Json | Parameter, names: Mapping[str, str]) -> Json:
        if not isinstance(parameter, Parameter):
            return {**parameter, "name": names[parameter["name"]]} if parameter["in"] == "path" else parameter
        component = parameter.component or parameter.name.strip("$")
        self.parameters[component] = {
            "name": parameter.name,
            "in": parameter.place,
            "description": parameter.description,
            "required": parameter.required,
            "schema": parameter.schema,
        }
        return {"$ref": f"#/components/parameters/{component}"}
