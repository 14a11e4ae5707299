"""An imported function app, checked, and served until it is stopped."""

import asyncio
import json
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from aiohttp import web

from local_host import composition_hooks, console
from local_host.clock import Clock
from local_host.durable.replay import close_sdk
from local_host.engine.extension import ExtensionEngine
from local_host.engine.memory import MemoryEngine
from local_host.engine.port import Engine
from local_host.engine.program import EngineProgram
from local_host.engine.timer_lease import TimerLease, run_while_leased
from local_host.errors import in_one_line
from local_host.functions import AppFunction, Trigger, load_functions, of_trigger
from local_host.host_settings import HostSettings, parse_host_settings
from local_host.http_server import HttpLimits, Server, build_app
from local_host.invocation import Invoker
from local_host.options import Options
from local_host.routing import HttpRoute, Router
from local_host.timers import Timer, build_timers, run_timer

_log = logging.getLogger(__name__)


class Host:
    """A function app, ready to be served at `url`."""

    def __init__(
        self,
        options: Options,
        url: str,
        environment: Mapping[str, str],
        clock: Clock,
        engine: EngineProgram | str | None = None,
    ) -> None:
        """Import the app. HostError: one line for the terminal; the app's own failures pass through.

        `engine`: the extension's program, started, or its URL; None for the engine in memory.
        """
        self.url = url
        self._options = options
        self._environment = environment
        self._clock = clock
        # The SDK reads ./host.json and the worker starts in the app's folder.
        os.chdir(options.app_root)
        path = options.app_root / "host.json"
        text = path.read_text(encoding="utf-8-sig") if path.is_file() else "{}"
        self._settings: HostSettings = parse_host_settings(text, environment, cores=os.cpu_count() or 1)
        self._functions: Sequence[AppFunction] = load_functions(options.app_root)
        self._router = Router(
            (HttpRoute(each.name, each.route, each.methods) for each in of_trigger(self._functions, Trigger.HTTP)),
            self._settings.route_prefix,
        )
        self._timers: Sequence[Timer] = build_timers(
            of_trigger(self._functions, Trigger.TIMER), environment, at_start=composition_hooks.timers_at_start()
        )
        self._engine: Engine = (
            MemoryEngine(self._functions, self._settings, url, clock)
            if engine is None
            else ExtensionEngine(self._functions, self._settings, url, engine)
        )
        self._uploads = _upload_routes(options, environment, clock)

    async def serve(self, listener: socket.socket, stop: asyncio.Event) -> None:
        """Serve until `stop` is set, then stop step by step. HostError where the app's store does not open."""
        await composition_hooks.open_store()
        invoker: Invoker | None = None
        server: Server | None = None
        timers: list[asyncio.Task[None]] = []
        try:
            invoker = Invoker(await self._engine.binding(), self._environment)
            server = Server(self._web_app(invoker))
            await server.start(listener)
            self._announce()
            timers += self._start_timers(invoker)
            await stop.wait()
        finally:
            for timer in timers:
                timer.cancel()
            await self._engine.stop_taking()
            if server:
                await composition_hooks.let_go()
                await server.close()
            await self._engine.close()
            if timers:
                await asyncio.wait(timers, timeout=0.5)
            await composition_hooks.close_store()
            if invoker:
                invoker.close()
            await close_sdk()

    def _start_timers(self, invoker: Invoker) -> list[asyncio.Task[None]]:
        """Every timer of the app; where other processes may serve it too, in the one that has the lease."""

        async def run_all() -> None:
            await asyncio.gather(*(run_timer(each, invoker.call, self._clock) for each in self._timers))

        if not self._timers:
            return []
        if not self._engine.timers_by_lease:
            return [asyncio.create_task(run_all())]
        return [asyncio.create_task(_run_with_lease(run_all, self._environment, self._settings.task_hub, self._clock))]

    def _web_app(self, invoker: Invoker) -> web.Application:
        return build_app(
            of_trigger(self._functions, Trigger.HTTP),
            self._router,
            invoker.call,
            clock=self._clock,
            limits=HttpLimits(self._settings.max_concurrent_requests, self._settings.max_outstanding_requests),
            cors=self._options.cors,
            extra_routes=[*self._engine.routes(invoker.call), *self._uploads],
            homepage=self._environment.get("AzureWebJobsDisableHomepage", "").lower() != "true",
        )

    def _announce(self) -> None:
        for name in self._router.unreachable:
            _log.warning("Function '%s': a route that starts with '/' answers nowhere behind a route prefix", name)
        seconds = self._clock.monotonic() - self._options.started
        base = f"{self.url}/{self._router.prefix}".rstrip("/")
        if self._options.behind is None:
            routes = dict((r.function, t) for r, t in self._router.routes)
            console.print_functions(self.url, self._functions, routes, engine=self._engine.title)
            page = "/docs" if any(function.name == "docs" for function in self._functions) else None
            console.print_ready(base, seconds, page=page)
        if self._options.ready_file:
            _write_whole(self._options.ready_file, json.dumps({"url": self.url, "base": base}))


async def _run_with_lease(
    work: Callable[[], Awaitable[object]], environment: Mapping[str, str], task_hub: str, clock: Clock
) -> None:
    """Run the timers while this process has their lease, which lies in the app's own storage."""
    # Here, because they load parts of the app: one way to reach storage, also by an identity.
    from shared.settings import Settings  # noqa: PLC0415
    from shared.storage.connection import blobs_client  # noqa: PLC0415

    service, credential = blobs_client(Settings.read(environment).storage)
    try:
        await run_while_leased(work, TimerLease(service, task_hub), clock)
    finally:
        await service.close()
        if credential is not None:
            await credential.close()


def _upload_routes(options: Options, environment: Mapping[str, str], clock: Clock) -> Sequence[web.RouteDef]:
    """Signed upload URLs for the store that has no storage service of its own."""
    if options.store != "sqlite":
        return []
    # Here, because both load parts of the app: its own storage takes the uploads, within its own limit.
    from local_host.uploads import routes  # noqa: PLC0415
    from shared.settings import Settings  # noqa: PLC0415

    with in_one_line():
        limit = Settings.read(environment).max_upload_bytes
    return routes(options.data_dir, max_upload_bytes=limit, clock=clock)


def _write_whole(path: Path, text: str) -> None:
    """A reader sees the file complete or not at all."""
    draft = path.with_name(path.name + ".tmp")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
