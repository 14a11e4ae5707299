"""The document: what the profiles say, in one tree, in one of two versions of OpenAPI."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, cast

from shared.actions.registry import Registry
from shared.contracts import versions
from shared.contracts.delegation import SECRET_HEADER
from shared.contracts.openapi import VERSIONS, app, arm, components, dataplane, monitors, odata
from shared.contracts.openapi.components import Components
from shared.contracts.openapi.dialect import Json, to_3_0
from shared.contracts.openapi.examples import Examples, with_examples
from shared.contracts.openapi.parts import DescribedOperation, Profile, Scope
from shared.contracts.openapi.schemas import Schemas
from shared.settings import Settings

SECTIONS = (dataplane, monitors, arm, odata, app)

_REFERENCE = re.compile(r'"#/components/schemas/([^"]+)"')
_PARAMETER = re.compile(r"\{([^}]+)\}")

_BY_KEY = "A host-level key: a function's own key opens that function only."
_BY_SIGN_IN = "A token that App Service authentication accepts; in a browser its cookie does as well."
_BY_OPERATION = "The secret of one operation, given to the system that works on it."


def describe(registry: Registry, settings: Settings, *, version: str = "3.1", examples: Examples | None = None) -> Json:
    """The app's description but for `servers`, where it is; `version` is a key of VERSIONS.

    Raises DeclarationError for a model that JSON Schema has no words for.
    """
    types = [*components.TYPES, *(each for section in SECTIONS for each in section.types(registry))]
    scope = Scope(registry=registry, settings=settings, schemas=Schemas(types))
    shared = Components(scope)
    operations = [(section.PROFILE, each) for section in SECTIONS for each in section.operations(scope)]
    paths = _paths(shared, operations, examples or {})
    profiles = dict.fromkeys(profile for profile, _ in operations)
    schemes = _security_schemes(scope)
    document: Json = {
        "openapi": VERSIONS["3.1"],
        "info": {
            "title": registry.title or "Long-running actions",
            "version": versions.DEFAULT,
            "description": registry.description or "Actions that take longer than a request, and what they work on.",
        },
        "security": [{name: [] for name in schemes}] if schemes else [],
        "tags": [{"name": each.tag, "description": each.description} for each in profiles],
        "paths": paths,
        "components": {
            "schemas": _used(scope.schemas.components, paths, shared),
            "parameters": shared.parameters,
            "headers": shared.headers,
            "responses": shared.responses,
            "securitySchemes": {monitors.UPDATE_SCHEME: _key(SECRET_HEADER, _BY_OPERATION), **schemes},
        },
    }
    return document if version == "3.1" else _as_3_0(document)


def _paths(
    shared: Components, operations: Iterable[tuple[Profile, DescribedOperation]], examples: Examples
) -> dict[str, Json]:
    paths: dict[str, Json] = {}
    spelled: dict[str, str] = {}
    for profile, operation in operations:
        path = f"/{operation.endpoint.route}"
        # Paths that differ in the names of their parameters only are the same path ("Paths Object").
        first = spelled.setdefault(_PARAMETER.sub("{}", path).lower(), path)
        names = dict(zip(_PARAMETER.findall(path), _PARAMETER.findall(first), strict=True))
        recorded = examples.get(operation.endpoint.function_name, {})
        method = operation.endpoint.methods[0].lower()
        paths.setdefault(first, {})[method] = with_examples(shared.operation(profile, operation, names), recorded)
    return paths


def _used(schemas: Mapping[str, Json], paths: Json, shared: Components) -> dict[str, Json]:
    """The schemas that something refers to, sorted: models that only lend their members to paths are left out."""
    found, todo = set[str](), [paths, shared.responses, shared.parameters]
    while todo:
        names = set(_REFERENCE.findall(json.dumps(todo.pop()))) - found
        found |= names
        todo.extend(schemas[name] for name in names)
    return {name: schemas[name] for name in sorted(found)}


def _security_schemes(scope: Scope) -> dict[str, Json]:
    """What a request has to show, all of it at once; empty where the app is anonymous."""
    found: dict[str, Json] = {}
    if scope.needs_key:
        found["functionKey"] = _key("x-functions-key", _BY_KEY)
    if scope.needs_sign_in:
        found["signedIn"] = {"type": "http", "scheme": "bearer", "description": _BY_SIGN_IN}
    return found


def _key(header: str, description: str) -> Json:
    return {"type": "apiKey", "in": "header", "name": header, "description": description}


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
