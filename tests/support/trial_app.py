"""The function app of the tests' own apps: the product's composition with a timing that `TRIAL_TIMING` names."""

import gc
import json
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import azure.functions as func

import blueprints
from blueprints.durable import DFApp
from shared.actions.registry import discover
from shared.composition import Application
from shared.model.timing import Timing
from shared.settings import function_timeout


def timing() -> Timing:
    """That of users' apps, but for what `TRIAL_TIMING` names: seconds by field, or lists of them."""
    usual = Timing()
    given: dict[str, Any] = json.loads(os.environ.get("TRIAL_TIMING", "{}"))
    return replace(
        usual,
        **{
            name: timedelta(seconds=seconds) if isinstance(getattr(usual, name), timedelta) else seconds
            for name, seconds in given.items()
        },
    )


def compose(actions: ModuleType, host_json: Path) -> tuple[Application, DFApp]:
    """The application and the app of these actions."""
    if spans := os.environ.get("TRIAL_SPANS"):
        from tests.support.span_file import export_spans_to

        export_spans_to(Path(spans))
    application = Application(
        discover(actions),
        host_json=host_json,
        function_timeout=function_timeout(host_json, os.environ),
        timing=timing(),
    )
    app = DFApp(http_auth_level=func.AuthLevel[application.settings_at_import.http_auth_level.upper()])
    for blueprint in blueprints.build(application):
        app.register_functions(blueprint)
    # As in the product's own function_app.py.
    gc.freeze()
    return application, app
