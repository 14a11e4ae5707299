"""The function app: composition only. What it offers is declared in `actions/`."""

import gc

# While modules load, nothing is garbage: the collections would cost a cold start about 50 ms and find nothing.
gc.disable()
try:
    import os
    from pathlib import Path

    import azure.functions as func

    import actions
    import blueprints
    from blueprints.durable import DFApp
    from shared.actions.registry import discover
    from shared.composition import Application
    from shared.settings import function_timeout

    host_json = Path(__file__).with_name("host.json")
    application = Application(
        discover(actions), host_json=host_json, function_timeout=function_timeout(host_json, os.environ)
    )
    app = DFApp(http_auth_level=func.AuthLevel[application.settings_at_import.http_auth_level.upper()])
    for blueprint in blueprints.build(application):
        app.register_functions(blueprint)

    # Nor is any of it later: left out, it does not make full collections hold up every request for some 30 ms.
    gc.freeze()
finally:
    gc.enable()
