"""What the operations of an OData service have in common: query options, versions, the key of an entity."""

from shared.actions.odata.service import EntitySet
from shared.contracts.odata.limits import DEFAULT_PAGE, MAX_LENGTH
from shared.contracts.openapi import odata_schemas
from shared.contracts.openapi.dialect import Json
from shared.contracts.openapi.parts import WAIT, Answer, Parameter, Scope, header, path_parameter
from shared.contracts.paging import MAX_TOP
from shared.frozen import replace

ERRORS = (400, 406)
"""Any request may have odd options or headers, or take no form that there is."""

_FORMATS = ("json", *(f"application/json;odata.metadata={metadata}" for metadata in ("minimal", "full", "none")))
_LONG: Json = {"type": "string", "maxLength": MAX_LENGTH}
_COUNT: Json = {"type": "integer", "minimum": 0}
_FORMAT: Json = {"type": "string", "enum": list(_FORMATS)}


def _option(name: str, description: str, schema: Json) -> Parameter:
    """A system query option."""
    return Parameter(f"${name}", description, schema, component=f"odata-{name}")


SEARCH = _option("search", 'What is looked for: `whale AND NOT "white whale"`.', {**_LONG, "minLength": 1})
FILTER = _option("filter", "Which entities: `words gt 1000 and contains(title,'sea')`.", _LONG)
SELECT = _option("select", "Which properties: `id,title`, `cover/size`, `*`.", _LONG)
FORMAT = _option("format", "The form of the answer, in place of `Accept`.", _FORMAT)
COLLECTION_OPTIONS = (
    FILTER,
    _option("orderby", "In which order: `published desc,title`; by the key where it is left out.", _LONG),
    SELECT,
    _option("top", f"How many; a page has at most {MAX_TOP}, else {DEFAULT_PAGE}.", _COUNT),
    _option("skip", "How many to leave out first.", _COUNT),
    _option("count", "Whether to say how many there are in all.", {"type": "boolean"}),
    _option("skiptoken", "From `@odata.nextLink`; follow that as it is.", {"type": "string"}),
)

VERSION = Parameter(
    "OData-MaxVersion",
    "The highest version of OData that the caller reads; 4.01 where it does not say.",
    {"type": "string", "enum": ["4.0", "4.01"]},
    place="header",
)

_PREFER = (
    "`respond-async`: answer 202 with the monitor's address; with `wait=N` beside it only after N seconds in which the "
    "request did not end."
)
PREFER_ASYNC = header("Prefer", _PREFER, "odata-prefer")
PREFER_BATCH = header("Prefer", f"{_PREFER} `continue-on-error`: go on after a failure.", "odata-prefer-batch")
PREFER_ASYNC_ONLY = replace(
    header("Prefer", _PREFER, "odata-prefer-required"),
    schema={"type": "string", "pattern": "respond-async"},
    required=True,
)
"""Where nothing but an asynchronous answer is possible."""

ACCEPTED = Answer(
    "Begun, as `Prefer: respond-async` asked for.",
    headers=("Monitor.Location", "Wait.Retry-After", *WAIT[1:], "RespondAsync.Preference-Applied", "Vary"),
)
"""202, of which nobody gets one without asking."""


def key(scope: Scope, entity_set: EntitySet) -> Json:
    """The key of an entity, inside the quotes that its path has."""
    shown = scope.schemas.resolved(odata_schemas.structure(scope.schemas, entity_set.type))["properties"]
    schema = {word: value for word, value in shown[entity_set.key.name].items() if word != "default"}
    return path_parameter("key", schema, "The entity's key; a quote in it is written twice.")


def quoted(route: str) -> str:
    """The route with the quotes that a key, which is text, has around it (URL Conventions 4.01, section 4.3)."""
    return route.replace("({key})", "('{key}')")
