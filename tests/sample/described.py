"""Apps described, for the tests of the description."""

import json
import re
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

import actions
from shared.actions.registry import Registry, discover
from shared.composition import Application
from shared.contracts.openapi.document import describe
from shared.contracts.openapi.examples import read_examples
from shared.settings import Settings
from tests.e2e.test_app.actions import trials
from tests.support import arm_things, odata_library

Json = dict[str, Any]
BASE = "https://library.example"


@cache
def sample() -> Registry:
    return discover(actions)


@cache
def trial() -> Registry:
    """Actions of every pattern, with every kind of result, and ARM resources with every header model."""
    declared = vars(trials).values()
    return Registry(
        [value for value in declared if type(value).__name__ == "Action"],
        [value for value in declared if type(value).__name__ == "Read"],
        arm_things.ALL,
        services=[odata_library.library],
    )


REGISTRIES = {"sample": sample, "trial": trial, "empty": Registry}


def described(registry: Registry, *, version: str = "3.1", **environment: str) -> Json:
    """The description, the test's own: it may change it."""
    if registry in (sample(), trial()):
        return json.loads(_described(registry, version, tuple(sorted(environment.items()))))
    return _describe(registry, version, environment)


@cache
def _described(registry: Registry, version: str, environment: tuple[tuple[str, str], ...]) -> str:
    return json.dumps(_describe(registry, version, dict(environment)))


def _describe(registry: Registry, version: str, environment: dict[str, str]) -> Json:
    examples = read_examples(registry.example_files)
    return describe(registry, Settings.read(environment), version=version, examples=examples)


def operations(document: Json) -> dict[str, tuple[str, str, Json]]:
    """Method, path and operation by function name."""
    return {
        operation["operationId"]: (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def endpoints(registry: Registry) -> dict[tuple[str, str], str]:
    """What the app serves: function names by method and path. HEAD goes without saying where there is GET."""
    return {
        (method, pathway(f"/{endpoint.route}")): endpoint.function_name
        for endpoint in Application(registry).endpoints
        for method in endpoint.methods
        if method != "HEAD"
    }


def pathway(path: str) -> str:
    """A path without what stands in parentheses: keys and arguments have quotes and names there."""
    return re.sub(r"\([^()]*\)", "()", path)


def resolved(document: Json, node: Json) -> Json:
    while "$ref" in node:
        found: Any = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = found
    return node


def answer(document: Json, function_name: str, status: int | str) -> Json:
    """A declared answer, its references to headers resolved."""
    found = resolved(document, operations(document)[function_name][2]["responses"][str(status)])
    return {**found, "headers": {n: resolved(document, h) for n, h in found.get("headers", {}).items()}}


def validator(document: Json, schema: Json) -> Draft202012Validator:
    """For instances of a schema in a 3.1 document, its references resolved there, dates and URLs checked."""
    return Draft202012Validator({**schema, "components": document["components"]}, format_checker=FormatChecker())
