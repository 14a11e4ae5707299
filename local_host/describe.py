"""`python -m local_host.describe`: write the app's description to a file, for a repository to keep and compare.

It calls the app's own function `openapi`, so what is written is what is served.
"""

import argparse
import asyncio
import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import azure.functions as func

from local_host.durable.replay import prepare_sdk
from local_host.errors import FunctionAppError, HostError
from local_host.functions import load_functions
from local_host.run import default_environment
from local_host.settings_file import merged

FUNCTION = "openapi"
_REFERENCE = re.compile(r'\{\n *("\$ref": "[^"]*")\n *\}')
"""A reference takes one line: there are so many of them."""

_ADDRESS = "http://localhost:7071"
"""Where the described app is, unless PUBLIC_BASE_URL says so."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Write, or compare with `--check`; returns the exit code: 0, or 1 for a difference or an error."""
    parser = _parser()
    flags = parser.parse_args(arguments)
    if flags.check and flags.output is None:
        parser.error("--check compares with a file: name it with --output")
    # Relative to where the command was given; the app runs in a folder of its own.
    output: Path | None = flags.output and flags.output.resolve()
    try:
        text = description(flags.app_root.resolve(), version=flags.version)
    except HostError as error:
        print(f"describe: {error}", file=sys.stderr)
        return 1
    if output is None:
        print(text, end="")
        return 0
    if flags.check:
        if output.is_file() and output.read_text(encoding="utf-8") == text:
            return 0
        print(f"describe: {output} is not what the app says of itself; write it again", file=sys.stderr)
        return 1
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        print(f"describe: {output} cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def description(app_root: Path, *, version: str = "3.1") -> str:
    """The app's description as indented JSON, which lines compare well. Raises FunctionAppError."""
    os.chdir(app_root)
    os.environ.update(merged(os.environ, default_environment(_ADDRESS)))
    prepare_sdk()
    found = [function for function in load_functions(app_root) if function.name == FUNCTION]
    if not found:
        raise FunctionAppError(f"the app has no function {FUNCTION!r}: register blueprints.description")
    # Where callers have to be signed in, somebody is.
    caller = {"x-ms-client-principal-id": "describe", "x-ms-client-principal-idp": "local"}
    url = f"{_ADDRESS}/openapi.json"
    request = func.HttpRequest(method="GET", url=url, params={"version": version}, body=b"", headers=caller)
    answer: func.HttpResponse = asyncio.run(found[0].call(req=request))
    body = answer.get_body().decode()
    if answer.status_code != 200:
        raise FunctionAppError(f"the app does not describe itself: {answer.status_code} {body}")
    text = json.dumps(json.loads(body), ensure_ascii=False, indent=2)
    return _REFERENCE.sub(r"{ \1 }", text) + "\n"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local_host.describe", description=__doc__)
    parser.add_argument("--output", type=Path, help="the file to write (default: standard output)")
    parser.add_argument("--version", choices=("3.1", "3.0"), default="3.1", help="of OpenAPI (default: 3.1)")
    parser.add_argument("--check", action="store_true", help="write nothing; fail where the file says something else")
    parser.add_argument(
        "--app-root", type=Path, default=Path(), help="folder of function_app.py and host.json (default: here)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
