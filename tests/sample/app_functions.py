"""The repository's function app as the SDK sees it."""

from functools import cache
from pathlib import Path
from typing import Any

import function_app

APP = Path(function_app.__file__)


@cache
def functions() -> list[Any]:
    """The SDK builds them once per app: asking again raises."""
    return list(function_app.app.get_functions())


def http_triggers() -> list[Any]:
    return [f.get_trigger() for f in functions() if f.get_trigger().type == "httpTrigger"]
