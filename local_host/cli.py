"""The command line: options, environment and errors. What it starts is in `run.py`."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from local_host.clock import SYSTEM, Clock
from local_host.engine.program import find_program
from local_host.errors import EngineError, HostError, SettingsError
from local_host.options import Options, Stop
from local_host.settings_file import LocalSettings, merged, parse_local_settings

DEFAULT_PORT = 7071
STORES = ("sqlite", "azurite")

_DESCRIPTION = "Runs this repository's function app on 127.0.0.1 without Azure Functions Core Tools."
_EPILOG = """\
Values of local.settings.json become environment variables, as with `func start`; a variable that is already set wins.
Ctrl-C stops; a second Ctrl-C stops at once.
"""


def main(arguments: Sequence[str] | None = None, clock: Clock = SYSTEM) -> int:
    """Run until stopped; returns the exit code."""
    started = clock.monotonic()
    flags = _parser().parse_args(arguments)
    try:
        if flags.reload:
            from local_host.reload import supervise  # noqa: PLC0415 (for this alone)

            given = sys.argv[1:] if arguments is None else arguments
            return supervise(flags.app_root.resolve(), [each for each in given if each != "--reload"])
        local = _local_settings(flags.app_root.resolve(), read=not flags.no_local_settings)
        options = settle(flags, os.environ, local, started)
        os.environ.update(merged(os.environ, local.values))
        from local_host.run import run  # noqa: PLC0415 (the SDKs load after --help and the checks above)

        return run(options, clock)
    except HostError as error:
        print(f"local_host: {error}", file=sys.stderr)
        return 1


def settle(flags: argparse.Namespace, environment: Mapping[str, str], local: LocalSettings, started: float) -> Options:
    """A flag wins over the environment, which wins over local.settings.json, which wins over the default."""
    app_root: Path = flags.app_root.resolve()
    port: int | None = flags.port
    if port is None and environment.get("PORT"):
        port = _port("PORT", environment["PORT"])
    if port is None:
        port = local.port if local.port is not None else DEFAULT_PORT
    store = flags.store or environment.get("STORE") or _store_of(environment.get("OPERATIONS_STORE")) or "sqlite"
    if store not in STORES:
        raise SettingsError(f"STORE must be one of {', '.join(STORES)}, not '{store}'")
    data_dir = flags.data_dir or Path(environment.get("DATA_DIR") or local.values.get("DATA_DIR") or ".data")
    said = "--engine" if flags.engine else "ENGINE"
    named = flags.engine or environment.get("ENGINE") or ""
    engine = _engine(f"{said} {named}", named, app_root, environment, store=store, port=port)
    return Options(
        app_root,
        port,
        store,
        app_root / data_dir,
        local.cors,
        flags.ready_file,
        started,
        loop=flags.loop,
        engine=engine,
        stop=Stop(flags.stop),
        processes=_processes("--processes", flags.processes, engine)
        if flags.processes
        else _processes("PROCESSES", environment.get("PROCESSES") or "1", engine),
        behind=flags.behind,
        local_settings=not flags.no_local_settings,
    )


def _engine(
    said: str, engine: str, app_root: Path, environment: Mapping[str, str], *, store: str, port: int
) -> Path | str | None:
    """The engine's program or URL; None where none is named. EngineError says what does not fit, and who said it."""
    if not engine:
        return None
    if store == "sqlite":
        raise EngineError(f"{said} keeps its task hub in a storage account: add --store azurite")
    if "://" not in engine:
        return find_program(engine, app_root, environment, said=said)
    if not engine.startswith(("http://", "https://")):
        raise EngineError(f"{said} is neither a program's path nor an http:// URL")
    if port == 0:
        raise EngineError(f"{said} calls a port that it was given by PY_HOST: name that one by --port")
    return engine if engine.endswith("/") else f"{engine}/"


def _processes(said: str, text: str, engine: Path | str | None) -> int:
    if not text.isdigit() or int(text) < 1:
        raise SettingsError(f"{said} must be a whole number of processes, not '{text}'")
    if int(text) > 1 and engine is None:
        raise SettingsError(f"{said} needs --engine: the engine in memory serves one process")
    if int(text) > 1 and not isinstance(engine, Path):
        raise SettingsError(f"{said} needs the path of a program as --engine: every process starts its own")
    return int(text)


def _store_of(operations_store: str | None) -> str | None:
    """The host's store for what the app itself uses, so that the two never differ."""
    return {"tables": "azurite"}.get(operations_store or "", operations_store)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local_host",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--port",
        type=lambda text: _port("--port", text),
        help=f"port to listen on; 0 lets the system choose (env PORT, else Host.LocalHttpPort, else {DEFAULT_PORT})",
    )
    parser.add_argument(
        "--store",
        choices=STORES,
        help="where operations are kept: SQLite and files, or Azurite (env STORE, else sqlite)",
    )
    parser.add_argument(
        "--data-dir", type=Path, help="folder for what is kept, relative to the app (env DATA_DIR, else .data)"
    )
    parser.add_argument(
        "--app-root", type=Path, default=Path(), help="folder of function_app.py and host.json (default: here)"
    )
    parser.add_argument("--ready-file", type=Path, help='written once listening: {"url": "http://127.0.0.1:7071"}')
    parser.add_argument(
        "--engine",
        metavar="PATH_OR_URL",
        help="leave orchestrations to the Durable extension: the program durable-host, its folder, or the URL that it "
        "printed; `durable-host` is the one that DURABLE_HOST names, else .build/durable-host (env ENGINE)",
    )
    parser.add_argument(
        "--processes",
        metavar="N",
        help="processes behind the port, each with an engine of its own on one task hub (env PROCESSES, else 1)",
    )
    parser.add_argument(
        "--stop",
        choices=[str(each) for each in Stop],
        default=str(Stop.DRAIN),
        help="what Ctrl-C does to work under way: give it back, or nothing, as where an instance is lost",
    )
    parser.add_argument(
        "--loop", choices=("asyncio", "uvloop"), default="asyncio", help="the event loop (default: asyncio)"
    )
    parser.add_argument("--reload", action="store_true", help="start again where a source file of the app changes")
    parser.add_argument("--behind", metavar="URL", help=argparse.SUPPRESS)  # set by --processes
    parser.add_argument("--no-local-settings", action="store_true", help="do not read local.settings.json")
    return parser


def _port(source: str, text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise SettingsError(f"{source} must be a port number from 0 to 65535, not '{text}'")
    return int(text)


def _local_settings(app_root: Path, *, read: bool) -> LocalSettings:
    path = app_root / "local.settings.json"
    if not read or not path.is_file():
        return LocalSettings()
    return parse_local_settings(path.read_text(encoding="utf-8-sig"))
