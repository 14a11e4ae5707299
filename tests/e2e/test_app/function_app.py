"""The function app: composition only. What it offers is declared in `actions/`."""

import os
from pathlib import Path

import azure.durable_functions as df
import azure.functions as func

import actions
from blueprints import discovery, dispatcher, housekeeping, orchestrator, starter, status
from shared.actions.registry import discover
from shared.composition import Application, function_timeout

_application = Application(
    discover(actions), function_timeout=function_timeout(Path(__file__).with_name("host.json"), os.environ)
)

app = df.DFApp(http_auth_level=func.AuthLevel[_application.settings_at_import.http_auth_level.upper()])
for _blueprint in (starter, orchestrator, dispatcher, status, housekeeping, discovery):
    app.register_functions(_blueprint.build(_application))
