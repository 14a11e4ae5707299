"""The function app: composition only. What it offers is declared in `actions/`."""

# ruff: noqa: E402 - imports come after the switch below, which is for them.

import gc

# While modules load, nothing is garbage: the collections would cost a cold start about 50 ms and find nothing.
gc.disable()

import os
from pathlib import Path

import azure.durable_functions as df
import azure.functions as func

import actions
from blueprints import (
    arm,
    description,
    discovery,
    dispatcher,
    external,
    housekeeping,
    odata,
    orchestrator,
    starter,
    status,
)
from shared.actions.registry import discover
from shared.composition import Application, function_timeout

_application = Application(
    discover(actions), function_timeout=function_timeout(Path(__file__).with_name("host.json"), os.environ)
)

app = df.DFApp(http_auth_level=func.AuthLevel[_application.settings_at_import.http_auth_level.upper()])
for _blueprint in (
    starter,
    orchestrator,
    dispatcher,
    status,
    arm,
    odata,
    external,
    housekeeping,
    description,
    discovery,
):
    app.register_functions(_blueprint.build(_application))

# Nor is any of it later: left out, it does not make full collections hold up every request for some 30 ms.
gc.freeze()
gc.enable()
