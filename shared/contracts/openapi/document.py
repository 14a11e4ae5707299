"""The document: what the profiles say, in one tree, in one of two versions of OpenAPI."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, cast

from shared.actions.registry import Registry
from shared.contracts import versions
from shared.contracts.external import SECRET_HEADER
from shared.contracts.openapi import VERSIONS, app, arm, dataplane, monitors, odata, parts
from shared.contracts.openapi.dialect import Json, to_3_0
from shared.contracts.openapi.examples import Examples, with_examples
from shared.contracts.openapi.parts import KEY_SCHEME, SIGNED_IN_SCHEME, Operation, Scope
from shared.contracts.openapi.schemas import Schemas
from shared.settings import Settings

_REFERENCE = re.compile(r'"#/components/schemas/([^"]+)"')
_PARAMETER = re.compile(r"\{([^}]+)\}")


def describe(registry: Registry, settings: Settings, *, version: str = "3.1", examples: Examples | None = None) -> Json:
    """The app's description but for `servers`, where it is; `version` is a key of VERSIONS.

    Raises DeclarationError for a model that JSON Schema has no words for.
    """
    types = [
        *parts.TYPES,
        *app.types(),
        *monitors.types(),
        *dataplane.types(registry),
        *arm.types(registry),
        *odata.types(registry),
    ]
    scope = Scope(registry=registry, settings=settings, schemas=Schemas(types))
    operations = [
        *dataplane.operations(scope),
        *monitors.operations(scope),
        *arm.operations(scope),
        *odata.operations(scope),
        *app.operations(scope),
    ]
    paths = _paths(scope, operations, examples or {})
    document: Json = {
        "openapi": VERSIONS["3.1"],
        "info": {
            "title": registry.title or "Long-running actions",
            "version": versions.DEFAULT,
            "description": registry.description or "Actions that take longer than a request, and what they work on.",
        },
        "security": _security(scope),
        "tags": [
            {"name": each.TAG, "description": each.DESCRIPTION}
            for each in (dataplane, monitors, arm, odata, app)
            if any(operation.tag == each.TAG for operation in operations)
        ],
        "paths": paths,
        "components": {
            "schemas": _used(paths, scope),
            "parameters": scope.parameters,
            "headers": scope.headers,
            "responses": scope.responses,
            "securitySchemes": _security_schemes(scope),
        },
    }
    return document if version == "3.1" else _as_3_0(document)


def _paths(scope: Scope, operations: Iterable[Operation], examples: Examples) -> Json:
    paths: dict[str, Json] = {}
    spelled: dict[str, str] = {}
    for operation in operations:
        path = f"/{operation.route}"
        # Paths that differ in the names of their parameters only are the same path ("Paths Object").
        first = spelled.setdefault(_PARAMETER.sub("{}", path).lower(), path)
        names = dict(zip(_PARAMETER.findall(path), _PARAMETER.findall(first), strict=True))
        written = with_examples(_operation(scope, operation, names), examples.get(operation.function_name, {}))
        paths.setdefault(first, {})[operation.method.lower()] = written
    return paths


def _used(paths: Json, scope: Scope) -> dict[str, Json]:
    """The schemas that something refers to, sorted: models that only lend their members to paths are left out."""
    components, found, todo = scope.schemas.components, set[str](), [paths, scope.responses, scope.parameters]
    while todo:
        names = set(_REFERENCE.findall(json.dumps(todo.pop()))) - found
        found |= names
        todo.extend(components[name] for name in names)
    return {name: components[name] for name in sorted(found)}


def _operation(scope: Scope, operation: Operation, names: Mapping[str, str]) -> Json:
    found: Json = {"operationId": operation.function_name, "tags": [operation.tag], "summary": operation.summary}
    if operation.description:
        found["description"] = operation.description
    found["parameters"] = [
        {**each, "name": names[each["name"]]} if each.get("in") == "path" else each for each in operation.parameters
    ]
    if operation.body is not None:
        found["requestBody"] = operation.body
    found["responses"] = dict(operation.responses)
    if operation.anonymous:
        found["security"] = []
    elif operation.security is not None:
        found["security"] = list(operation.security)
    return {**found, **operation.extensions}


def _security(scope: Scope) -> list[Json]:
    """What a request has to show, all of it at once; nothing where the app is anonymous."""
    wanted = {KEY_SCHEME: scope.asks_for_a_key, SIGNED_IN_SCHEME: scope.asks_who_calls}
    needed: Json = {name: [] for name, is_asked in wanted.items() if is_asked}
    return [needed] if needed else []


def _security_schemes(scope: Scope) -> Json:
    found: Json = {
        monitors.UPDATE_SCHEME: {
            "type": "apiKey",
            "in": "header",
            "name": SECRET_HEADER,
            "description": "The secret of one operation, given to the system that works on it.",
        }
    }
    if scope.asks_for_a_key:
        found[KEY_SCHEME] = {
            "type": "apiKey",
            "in": "header",
            "name": "x-functions-key",
            "description": "A host-level key: a function's own key opens that function only.",
        }
    if scope.asks_who_calls:
        found[SIGNED_IN_SCHEME] = {
            "type": "http",
            "scheme": "bearer",
            "description": "A token that App Service authentication accepts; in a browser its cookie does as well.",
        }
    return found


def _as_3_0(document: Json) -> Json:
    """The document with every schema in OpenAPI 3.0's dialect; all else that it uses is the same in both."""

    def changed(value: Any, key: str = "") -> Any:
        if key == "schema":
            return to_3_0(value)
        if isinstance(value, list):
            return [changed(each) for each in cast(list[Any], value)]
        if not isinstance(value, dict) or key in ("example", "examples", "extensions"):
            return value
        return {name: changed(each, name) for name, each in cast(Json, value).items()}

    found = changed({**document, "openapi": VERSIONS["3.0"]})
    found["components"]["schemas"] = {n: to_3_0(s) for n, s in document["components"]["schemas"].items()}
    return found
