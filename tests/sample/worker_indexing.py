"""The indexer of the Functions host's Python worker, as a test, and for an environment without the tests' packages.

`python -m tests.sample.worker_indexing` imports `function_app` and indexes it: `make durable-2` runs it.
"""

import importlib
import sys
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

from azure.functions.decorators.core import BindingDirection

RUNTIME = "azure_functions_runtime"


def index(functions: list[Any]) -> dict[str, Any]:
    """Function infos by name, made as the worker makes them; it refuses a signature with an exception."""
    importlib.import_module(f"{RUNTIME}.bindings.meta").load_binding_registry()
    protos = SimpleNamespace(
        BindingInfo=SimpleNamespace(inout=BindingDirection.INOUT.value, out=BindingDirection.OUT.value, undefined=None)
    )
    registry = importlib.import_module(f"{RUNTIME}.functions").Registry()
    return {each.get_function_name(): registry.add_indexed_function(each, protos) for each in functions}


def main() -> int:
    """Index the app in the current folder; returns 1 where a declared function is missing."""
    import function_app
    from shared.engine.port import ACTIVITY, ORCHESTRATOR

    indexed = index(list(function_app.app.get_functions()))
    declared = {each.function_name for each in function_app.application.endpoints} | {ORCHESTRATOR, ACTIVITY}
    versions = ", ".join(f"{name} {version(name)}" for name in ("azure-functions", "azure-functions-durable"))
    if missing := declared - indexed.keys():
        print(f"not indexed with {versions}: {', '.join(sorted(missing))}", file=sys.stderr)
        return 1
    print(f"Python {sys.version.split()[0]}: {len(indexed)} functions are indexed with {versions}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
