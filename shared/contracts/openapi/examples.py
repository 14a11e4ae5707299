"""Examples of requests and answers, recorded from real runs and kept beside the declarations.

A module package of actions may have a file `examples.json`: by operation id `{"path": {"id": ...}, "request": ...,
"responses": {"202": {"body": ...}}}`. What it says of operations that are not there is left aside.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from typing_extensions import TypedDict  # pydantic reads it from there below Python 3.12

from shared.contracts.openapi.dialect import Json, copied
from shared.errors import DeclarationError


class _Recorded(TypedDict, total=False):
    path: dict[str, Any]
    request: Any
    responses: dict[str, dict[str, Any]]


_FILE = TypeAdapter(dict[str, _Recorded])

Examples = Mapping[str, Mapping[str, Any]]


def read_examples(files: Iterable[Path]) -> Examples:
    """What the files say that are there; the first one that names an operation counts.

    Raises DeclarationError, naming the file, for one that is not as said above.
    """
    found: dict[str, Mapping[str, Any]] = {}
    for file in files:
        if file.is_file():
            found = {**_read(file), **found}
    return found


def _read(file: Path) -> Examples:
    try:
        found: Any = json.loads(file.read_text(encoding="utf-8"))
        _FILE.validate_python(found)
        # Neither NaN nor half a surrogate pair can be sent, and the reader takes both.
        json.dumps(found, ensure_ascii=False, allow_nan=False).encode()
    except ValueError as error:
        raise DeclarationError(f"{file} cannot be read as examples: {error}") from None
    return found


def with_examples(operation: Json, recorded: Mapping[str, Any]) -> Json:
    """The operation with what was recorded of it, where it declares a parameter or a body for that."""
    if not recorded:
        return operation
    found = copied(operation)
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
