"""Composition and life cycle: environment, function app, servers, and a clean stop."""

import asyncio
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from aiohttp import web

from local_host import console
from local_host.azurite import Azurite
from local_host.durable.api import DurableApi
from local_host.durable.binding import durable_client
from local_host.durable.replay import close_sdk, prepare_sdk
from local_host.durable.worker import DurableWorker
from local_host.errors import HostError, PortInUseError, SettingsError
from local_host.functions import AppFunction, Trigger, load_functions, of_trigger
from local_host.host_settings import HostSettings, parse_host_settings
from local_host.http_server import HttpLimits, Server, build_app
from local_host.invocation import Invoker
from local_host.options import Options
from local_host.routing import HttpRoute, Router
from local_host.settings_file import Cors, merged
from local_host.timers import Timer, build_timers, run_timer

_log = logging.getLogger(__name__)
_ADDRESS = "127.0.0.1"
_STOP_WITHIN = 4.5  # seconds, all steps of a stop together
_STORAGE = "AzureWebJobsStorage"
_EMULATOR = "UseDevelopmentStorage=true"


def run(options: Options) -> int:
    """Run the function app until a signal; returns the exit code. HostError: one line for the terminal."""
    console.configure_logging()
    with listen(options.port) as listener:
        port = listener.getsockname()[1]
        azurite = _azurite(options)
        try:
            connection = azurite.start() if azurite else None
            os.environ.update(environment_for(options, connection))
            os.environ.update(merged(os.environ, default_environment(port)))
            try:
                host = Host(options, f"http://{_ADDRESS}:{port}", os.environ)
            except HostError:
                raise
            except BaseException:
                # The app's own code failed on import: its traceback is what helps.
                traceback.print_exc()
                print("local_host: function_app.py could not be imported (see above)", file=sys.stderr)
                return 1
            _serve(host, listener, azurite)
        finally:
            if azurite:
                azurite.stop()
    return 0


def listen(port: int) -> socket.socket:
    """A socket bound to the port on the loopback interface; PortInUseError when taken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((_ADDRESS, port))
        # Listening at once keeps a second host from binding the same port with SO_REUSEADDR meanwhile.
        listener.listen(1024)
    except OSError:
        listener.close()
        raise PortInUseError(port) from None
    return listener


def environment_for(options: Options, connection: str | None) -> dict[str, str]:
    """Variables that follow from the options; these already heed what the environment says of store and folder."""
    settings = {
        "OPERATIONS_STORE": "sqlite" if options.store == "sqlite" else "tables",
        "DATA_DIR": str(options.data_dir),
    }
    if connection:
        settings[_STORAGE] = connection
    return settings


def default_environment(port: int) -> dict[str, str]:
    """Variables that hold where nobody said otherwise."""
    return {
        "WEBSITE_HOSTNAME": f"{_ADDRESS}:{port}",
        "FUNCTIONS_WORKER_RUNTIME": "python",
        "AZURE_FUNCTIONS_ENVIRONMENT": "Development",
        "HOUSEKEEPING_SCHEDULE": "*/5 * * * * *",
    }


def _azurite(options: Options) -> Azurite | None:
    """The emulator, where the store needs it and no other storage account was named."""
    if options.store != "azurite" or os.environ.get(_STORAGE, _EMULATOR) not in {"", _EMULATOR}:
        return None
    return Azurite(options.app_root, location=options.data_dir / "azurite")


class Host:
    """An imported function app, checked and ready to be served."""

    def __init__(self, options: Options, url: str, environment: Mapping[str, str]) -> None:
        self.url = url
        self._options = options
        self._environment = environment
        # The SDK reads ./host.json and the worker starts in the app's folder.
        os.chdir(options.app_root)
        path = options.app_root / "host.json"
        text = path.read_text(encoding="utf-8-sig") if path.is_file() else "{}"
        self._settings: HostSettings = parse_host_settings(text, environment, cores=os.cpu_count() or 1)
        prepare_sdk()
        self._functions: Sequence[AppFunction] = load_functions(options.app_root)
        self._router = Router(
            (HttpRoute(each.name, each.route, each.methods) for each in of_trigger(self._functions, Trigger.HTTP)),
            self._settings.route_prefix,
        )
        self._timers: Sequence[Timer] = build_timers(of_trigger(self._functions, Trigger.TIMER), environment)
        self._client = durable_client(url, self._settings.task_hub)

    async def serve(self, listener: socket.socket, stop: asyncio.Event) -> None:
        """Serve until `stop` is set, then stop step by step."""
        invoker = Invoker(self._client, self._environment)
        worker = DurableWorker(
            of_trigger(self._functions, Trigger.ORCHESTRATION),
            of_trigger(self._functions, Trigger.ACTIVITY),
            invoker.call,
            max_activities=self._settings.max_concurrent_activities,
            timeout=self._settings.function_timeout,
        )
        server = Server(self._web_app(invoker, worker))
        await server.start(listener)
        timers = [asyncio.create_task(run_timer(each, invoker.call)) for each in self._timers]
        try:
            self._announce()
            await stop.wait()
        finally:
            for timer in timers:
                timer.cancel()
            await server.close()
            await worker.close()
            if timers:
                await asyncio.wait(timers, timeout=0.5)
            await _close_composition()
            invoker.close()
            await close_sdk()

    def _web_app(self, invoker: Invoker, worker: DurableWorker) -> web.Application:
        api = DurableApi(worker.hub, worker.orchestrators.keys(), self.url, self._settings.task_hub)
        limits = HttpLimits(self._settings.max_concurrent_requests, self._settings.max_outstanding_requests)
        cors: Cors = self._options.cors
        return build_app(
            of_trigger(self._functions, Trigger.HTTP),
            self._router,
            invoker.call,
            limits=limits,
            cors=cors,
            extra_routes=[*api.routes(), *_upload_routes(self._options, self._environment)],
            homepage=self._environment.get("AzureWebJobsDisableHomepage", "").lower() != "true",
        )

    def _announce(self) -> None:
        for name in self._router.unreachable:
            _log.warning("Function '%s': a route that starts with '/' answers nowhere behind a route prefix", name)
        console.print_functions(self.url, self._functions, dict((r.function, t) for r, t in self._router.routes))
        page = "/docs" if any(function.name == "docs" for function in self._functions) else None
        console.print_ready(self.url, time.perf_counter() - self._options.started, page=page)
        if self._options.ready_file:
            _write_whole(self._options.ready_file, json.dumps({"url": self.url}))


def _serve(host: Host, listener: socket.socket, azurite: Azurite | None) -> None:
    """Run the event loop. Not `asyncio.run`: it would wait for every thread of the default executor."""
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    def on_signal() -> None:
        if stop.is_set():
            _exit_now(azurite, 1)
        stop.set()
        watchdog = threading.Timer(_STOP_WITHIN, _exit_now, [azurite, 0])
        watchdog.daemon = True
        watchdog.start()
        console.say("Stopping ... (again: at once)")

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
    try:
        loop.run_until_complete(host.serve(listener, stop))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()
    if _threads_left():
        # A sync function that still runs cannot be stopped; the interpreter would wait for it.
        if azurite:
            azurite.stop()
        _exit_now(None, 0)


def _exit_now(azurite: Azurite | None, code: int) -> None:
    if azurite:
        azurite.kill()
    with suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _threads_left() -> bool:
    deadline = time.monotonic() + 0.3
    while time.monotonic() < deadline:
        others = [each for each in threading.enumerate() if not each.daemon and each is not threading.main_thread()]
        if not others:
            return False
        time.sleep(0.01)
    return True


async def _close_composition() -> None:
    """Let the app close its stores, where it has any open: the worker has no hook for that."""
    aclose = getattr(sys.modules.get("shared.composition"), "aclose", None)
    if aclose is None:
        return
    try:
        await asyncio.wait_for(aclose(), timeout=1.0)
    except Exception:
        _log.exception("The app's stores did not close")


def _upload_routes(options: Options, environment: Mapping[str, str]) -> Sequence[web.RouteDef]:
    """Signed upload URLs for the store that has no storage service of its own."""
    if options.store != "sqlite":
        return []
    # Here, because both load parts of the app: its own storage takes the uploads, within its own limit.
    from local_host.uploads import routes  # noqa: PLC0415
    from shared import errors, settings  # noqa: PLC0415

    try:
        limit = settings.Settings.read(environment).max_upload_bytes
    except errors.SettingsError as error:
        raise SettingsError(str(error)) from None
    return routes(options.data_dir, max_upload_bytes=limit)


def _write_whole(path: Path, text: str) -> None:
    """A reader sees the file complete or not at all."""
    draft = path.with_name(path.name + ".tmp")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
