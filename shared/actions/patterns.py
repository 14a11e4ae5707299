"""The four ways to start an operation on the data plane, and what follows from each for its declaration.

Azure REST API Guidelines, "Long-Running Operations & Jobs", "Patterns to Initiate a Long-Running Operation".
"""

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Any, NamedTuple

from pydantic import BaseModel, TypeAdapter

from shared.actions import routes
from shared.actions.input_models import mentions
from shared.actions.routes import READ, Endpoint
from shared.actions.signatures import Signature
from shared.errors import DeclarationError
from shared.frozen import frozen

OPERATION_ID = "operation_id"
"""The route parameter that is the operation's own id."""

MONITOR_MEMBERS = frozenset(
    {"id", "kind", "status", "error", "result", "createdDateTime", "lastActionDateTime", "attempt"}
    | {"percentComplete", "progress", "expiresAt", "attempts", "lastError", "labels", "retryOf"}
    | {"notBefore", "waitingFor", "waitingSince", "resourceLocation"}
)
"""What a monitor says itself; a parameter of that name could not be echoed beside it. `resourceLocation` makes clients
fetch another URL for the result (azure-core, core-lro and Azure.Core alike)."""


class Pattern(StrEnum):
    """Stored with the operation: never renamed."""

    ACTION = "action"
    """POST: 202 and the monitor, with a `result` at the end ("LRO action on a resource pattern")."""
    PUT_RESOURCE = "put-resource"
    """PUT: 201 or 200 and the resource ("Create or replace operation with additional long-running processing")."""
    DELETE_RESOURCE = "delete-resource"
    """DELETE: 202 and the monitor ("DELETE LRO pattern")."""
    PUT_OPERATION = "put-operation"
    """PUT of an operation: 201 and the monitor at the same URL ("LRO action with no related resource pattern")."""

    @property
    def has_result(self) -> bool:
        """Whether the monitor carries a `result`: otherwise the resource itself is it, or there is none."""
        return self in (Pattern.ACTION, Pattern.PUT_OPERATION)


@frozen(kw_only=True)
class Accepted:
    """The first answer to a PUT of a resource: whether it is new (201, else 200), and what it is going to be."""

    created: bool
    resource: BaseModel


def chosen(
    *, post: str | None, put: str | None, delete: str | None, names: Iterable[str], where: str
) -> tuple[Pattern, str, str]:
    """The pattern, the method and the route of a declaration; `names` are those of the input's fields and aliases."""
    given = {method: route for method, route in (("POST", post), ("PUT", put), ("DELETE", delete)) if route is not None}
    if len(given) != 1:
        found = " and ".join(name.lower() for name in given) or "none"
        raise DeclarationError(f"{where}: one of post=, put= and delete= says how it is started; this has {found}")
    [(method, route)] = given.items()
    parameters = routes.parameters(route, where)
    pattern = {"POST": Pattern.ACTION, "PUT": Pattern.PUT_RESOURCE, "DELETE": Pattern.DELETE_RESOURCE}[method]
    if OPERATION_ID in parameters:
        if method != "PUT" or not route.endswith(f"/{{{OPERATION_ID}}}"):
            raise DeclarationError(
                f"{where}: {{{OPERATION_ID}}} is the operation's own id; only put= takes it, as its last segment"
            )
        pattern = Pattern.PUT_OPERATION
        parameters = tuple(name for name in parameters if name != OPERATION_ID)
    elif method != "POST" and ":" in route:
        raise DeclarationError(f"{where}: {method} names a resource; a verb such as {route!r} is started with post=")
    known = set(names)
    for name in parameters:
        if name not in known:
            raise DeclarationError(f"{where}: the route has {{{name}}}, but the input model has no field {name!r}")
    return pattern, method, route


def check_members(pattern: Pattern, signature: Signature, *, input: Iterable[str]) -> None:
    """Refuse an input or an output whose members, or whose absence, the pattern's clients would misread."""
    output, where = signature.output, signature.where
    if pattern is Pattern.DELETE_RESOURCE and output is not None:
        raise DeclarationError(f"{where}: a DELETE has no result; annotate `-> None`")
    if pattern is Pattern.PUT_RESOURCE:
        if output is None:
            raise DeclarationError(f"{where}: a PUT of a resource returns the resource; annotate what it is")
        if signature.returns_file:
            raise DeclarationError(f"{where}: a PUT of a resource returns the resource, and no file; use post=")
        if mentions(output.core_schema, "status") and "status" in _members(output):
            raise DeclarationError(
                f"{where}: the resource has a member 'status', which pollers would read as the operation's; rename it"
            )
    if pattern is Pattern.PUT_OPERATION and (taken := sorted(MONITOR_MEMBERS & set(input))):
        raise DeclarationError(f"{where}: its monitor repeats the input and has a {taken[0]!r} of its own; rename it")


def is_linked(result: str | None, pattern: Pattern, signature: Signature) -> bool:
    """Whether `result="link"` was declared, where that can be."""
    if result is None:
        return False
    said = f"{signature.where}: result={result!r}"
    if not pattern.has_result:
        raise DeclarationError(f"{said} is for a POST or a PUT of an operation: other monitors never carry a result")
    if signature.output is None:
        raise DeclarationError(f"{said} names where the result lies, but the handler returns nothing; leave it out")
    if signature.returns_file:
        raise DeclarationError(f"{said} is not for a file, whose result names where it lies; leave it out")
    return True


def check_exclusive(exclusive: str, route: str, where: str) -> None:
    """`exclusive` is the template of a resource, made of parameters of the route."""
    for name in routes.parameters(exclusive, where):
        if name not in routes.parameters(route, where) or name == OPERATION_ID:
            raise DeclarationError(f"{where}: exclusive has {{{name}}}, which is no parameter of the route {route!r}")
    if ":" in exclusive:
        raise DeclarationError(f"{where}: exclusive={exclusive!r} names a resource, not an action on it")


class OperationEndpoints(NamedTuple):
    """Read, cancel and delete on the URL of a PUT of an operation ("Controlling a long-running operation")."""

    status: Endpoint
    cancel: Endpoint
    delete: Endpoint


def operation_endpoints(function_name: str, route: str, where: str) -> OperationEndpoints:
    """The functions that are made for a PUT of an operation."""
    return OperationEndpoints(
        status=Endpoint(f"{function_name}_status", READ, route, where),
        cancel=Endpoint(f"{function_name}_cancel", ("POST",), f"{route}:cancel", where),
        delete=Endpoint(f"{function_name}_delete", ("DELETE",), route, where),
    )


def alias_endpoint(exclusive: str, where: str) -> Endpoint:
    """`{resource}/operations/{operation_id}`, where TypeSpec's standard operations look for a monitor."""
    name = re.sub(r"[^A-Za-z0-9]+", "_", f"{exclusive}/operation").strip("_")
    return Endpoint(name, READ, f"{exclusive}/operations/{{{OPERATION_ID}}}", where)


def _members(output: TypeAdapter[Any]) -> set[str]:
    """The wire names in what a handler returns; none where that is no object."""
    schema = output.json_schema(by_alias=True, mode="serialization")
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    return set(schema.get("$defs", {}).get(name, schema).get("properties", {}))
