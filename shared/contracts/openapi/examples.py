"""Examples of requests and answers, recorded from real runs and kept beside the declarations.

A module package of actions may have a file `examples.json`: by operation id `{"path": {"id": ...}, "request": ...,
"responses": {"202": {"body": ...}}}`. What it says of operations that are not there is left aside.
"""

import copy
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from shared.contracts.openapi.dialect import Json

Examples = Mapping[str, Mapping[str, Any]]


def read_examples(files: Iterable[Path]) -> Examples:
    """What the files say that are there; the first one that names an operation counts."""
    found: dict[str, Mapping[str, Any]] = {}
    for file in files:
        if file.is_file():
            found = {**json.loads(file.read_text(encoding="utf-8")), **found}
    return found


def with_examples(operation: Json, recorded: Mapping[str, Any]) -> Json:
    """The operation with what was recorded of it, where it declares a parameter or a body for that."""
    if not recorded:
        return operation
    found = copy.deepcopy(operation)
    for parameter in found["parameters"]:
        if parameter.get("in") == "path" and parameter["name"] in recorded.get("path", {}):
            parameter["example"] = recorded["path"][parameter["name"]]
    if "request" in recorded:
        _put(found.get("requestBody", {}), recorded["request"])
    for status, answer in recorded.get("responses", {}).items():
        response = found["responses"].get(status)
        if response is not None and "$ref" not in response and "body" in answer:
            _put(response, answer["body"])
    return found


def _put(holder: Json, example: Any) -> None:
    """Text is shown for what is no JSON, all else for what is: some answers come in either."""
    contents: Json = holder.get("content", {})
    for media_type, content in contents.items():
        if len(contents) == 1 or (media_type == "application/json") != isinstance(example, str):
            content["example"] = example
