"""The worker's invocation of a function, for the log lines that belong to it."""

import sys
from collections.abc import Mapping
from typing import Any

import azure.functions as func

from shared import parts


def invocation_of(context: func.Context, modules: Mapping[str, Any] = sys.modules) -> "parts.Invocation":
    """What the function is given as `context`; `modules` has the worker's runtime where that is a package (3.13 on)."""
    runtime = modules.get("azure_functions_runtime")
    return parts.Invocation(
        context.invocation_id, context.thread_local_storage, getattr(runtime, "invocation_id_cv", None)
    )
