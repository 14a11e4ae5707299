"""The local host around a function app made in a test, in the test's own process."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from aiohttp import web
from azure.durable_functions import DurableOrchestrationClient
from azure.functions import FunctionRegister

from local_host.clock import SYSTEM, Clock
from local_host.connections import PATIENCE, Patience
from local_host.durable.api import DurableApi
from local_host.durable.binding import durable_client
from local_host.durable.hub import TaskHub
from local_host.durable.replay import close_sdk, prepare_sdk
from local_host.durable.worker import DurableWorker
from local_host.functions import Trigger, functions_of, of_trigger
from local_host.http_server import HttpLimits, Server, build_app, listen
from local_host.invocation import Invoker
from local_host.routing import HttpRoute, Router
from local_host.settings_file import NO_CORS, Cors


@dataclass(frozen=True)
class RunningHost:
    url: str
    port: int
    client: DurableOrchestrationClient
    worker: DurableWorker


@asynccontextmanager
async def running(
    app: FunctionRegister,
    *,
    prefix: str = "",
    limits: HttpLimits | None = None,
    cors: Cors = NO_CORS,
    activity_timeout: timedelta | None = None,
    max_activities: int = 20,
    extra_routes: Sequence[web.RouteDef] = (),
    environment: dict[str, str] | None = None,
    clock: Clock = SYSTEM,
    hub: TaskHub | None = None,
    patience: Patience = PATIENCE,
) -> AsyncIterator[RunningHost]:
    """Serve `app` on a free port until the block ends."""
    prepare_sdk()
    functions = functions_of(app)
    http = of_trigger(functions, Trigger.HTTP)
    router = Router((HttpRoute(each.name, each.route, each.methods) for each in http), prefix)
    with listen(0) as listener:
        port: int = listener.getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        binding = durable_client(url, "TestHub")
        invoker = Invoker(binding, environment or dict(os.environ))
        worker = DurableWorker(
            of_trigger(functions, Trigger.ORCHESTRATION),
            of_trigger(functions, Trigger.ACTIVITY),
            invoker.call,
            clock=clock,
            max_activities=max_activities,
            timeout=activity_timeout,
            hub=hub,
        )
        api = DurableApi(worker, url, "TestHub")
        server = Server(
            build_app(
                http,
                router,
                invoker.call,
                limits=limits or HttpLimits(),
                clock=clock,
                cors=cors,
                extra_routes=[*api.routes(), *extra_routes],
            ),
            clock=clock,
            patience=patience,
        )
        await server.start(listener)
        try:
            yield RunningHost(url, port, DurableOrchestrationClient(binding), worker)
        finally:
            await close_sdk()
            await server.close()
            await worker.close()
            invoker.close()


def raw_request(method: str, target: str, *lines: str, body: bytes = b"") -> bytes:
    """A request as bytes, so that no client library tidies its target up."""
    head = "\r\n".join([f"{method} {target} HTTP/1.1", "Host: localhost", "Connection: close", *lines])
    return head.encode() + b"\r\n\r\n" + body


async def exchange(port: int, message: bytes) -> tuple[int, dict[str, list[str]], bytes]:
    """Send bytes; status, headers by lower-cased name and body of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(message)
        await writer.drain()
        answer = await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()
    while answer.startswith(b"HTTP/1.1 100"):
        answer = answer.partition(b"\r\n\r\n")[2]
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers: dict[str, Any] = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers.setdefault(name.lower(), []).append(value.strip())
    return int(status.split(" ")[1]), headers, body
