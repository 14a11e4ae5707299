"""From options to a running host: environment, emulator, function app, and one exit code."""

import os
import sys
import traceback
from pathlib import Path

from local_host import console
from local_host.azurite import Azurite
from local_host.child import Child
from local_host.clock import Clock
from local_host.engine.child_settings import engine_environment
from local_host.engine.program import EngineProgram
from local_host.errors import HostError, why_not_imported
from local_host.host import Host
from local_host.http_server import ADDRESS, listen
from local_host.life_cycle import serve_until_signal
from local_host.options import Options
from local_host.processes import run_processes
from local_host.settings_file import merged

_STORAGE = "AzureWebJobsStorage"
_EMULATOR = "UseDevelopmentStorage=true"


def run(options: Options, clock: Clock) -> int:
    """Run the function app until a signal; returns the exit code. HostError: one line for the terminal."""
    console.configure_logging()
    with listen(options.port) as listener:
        url = f"http://{ADDRESS}:{listener.getsockname()[1]}"
        azurite = _azurite(options, clock)
        children: list[Child] = [azurite] if azurite else []
        try:
            connection = azurite.start() if azurite else None
            os.environ.update(environment_for(options, connection))
            os.environ.update(merged(os.environ, default_environment(options.behind or url)))
            if options.processes > 1:
                return run_processes(options, listener, url, children, clock)
            engine = options.engine
            if isinstance(engine, Path):
                engine = _started(engine, options, url)
                children.insert(0, engine)
            try:
                host = Host(options, url, os.environ, clock, engine)
            except HostError:
                raise
            except BaseException as error:
                # The app's own code failed on import: its traceback is what helps.
                traceback.print_exc()
                reason = why_not_imported(error, options.app_root)
                print(f"local_host: function_app.py could not be imported: {reason}", file=sys.stderr)
                return 1
            serve_until_signal(host, listener, children, clock, options)
        finally:
            for child in children:
                child.stop()
    return 0


def _started(path: Path, options: Options, url: str) -> EngineProgram:
    """The engine, coming up while the app is imported."""
    program = EngineProgram(path)
    host_json = options.app_root / "host.json"
    program.start(engine_environment(os.environ, host_json=str(host_json) if host_json.is_file() else None, url=url))
    return program


def environment_for(options: Options, connection: str | None) -> dict[str, str]:
    """Variables that follow from the options; these already heed what the environment says of store and folder."""
    settings = {
        "OPERATIONS_STORE": "sqlite" if options.store == "sqlite" else "tables",
        "DATA_DIR": str(options.data_dir),
    }
    if connection:
        settings[_STORAGE] = connection
    return settings


def default_environment(url: str) -> dict[str, str]:
    """Variables that hold where nothing else is set. `url`: where callers reach the app."""
    return {
        "WEBSITE_HOSTNAME": url.partition("://")[2],
        "TASK_HUB_NAME": "LongRunningActions",
        "FUNCTIONS_WORKER_RUNTIME": "python",
        "AZURE_FUNCTIONS_ENVIRONMENT": "Development",
        "HOUSEKEEPING_SCHEDULE": "*/5 * * * * *",
    }


def _azurite(options: Options, clock: Clock) -> Azurite | None:
    """The emulator, where the store needs it and no other storage account was named."""
    if options.store != "azurite" or os.environ.get(_STORAGE, _EMULATOR) not in {"", _EMULATOR}:
        return None
    return Azurite(options.app_root, location=options.data_dir / "azurite", clock=clock)
