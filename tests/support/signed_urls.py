"""A container whose signed URLs are answered, on every store."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from local_host.uploads import routes
from shared.settings import Settings
from shared.storage.factory import open_storage
from shared.storage.ports import Container
from tests.support.stores import fresh_name, settings_for


@asynccontextmanager
async def signed_container(store: str, request: pytest.FixtureRequest) -> AsyncIterator[Container]:
    """Its URLs are answered by Azurite, or by the embedded end point on a free port."""
    if store == "azurite":
        storage = open_storage(settings_for(store, request))
        yield storage.container(fresh_name())
        await storage.aclose()
        return
    data_dir: Path = request.getfixturevalue("tmp_path")
    app = web.Application()
    app.add_routes(routes(data_dir, max_upload_bytes=20_000_000))
    runner = web.AppRunner(app)
    await runner.setup()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        await web.SockSite(runner, listener).start()
        host = f"127.0.0.1:{listener.getsockname()[1]}"
        settings = {"OPERATIONS_STORE": "sqlite", "DATA_DIR": str(data_dir), "WEBSITE_HOSTNAME": host}
        storage = open_storage(Settings.read(settings))
        yield storage.container(fresh_name())
        await storage.aclose()
        await runner.cleanup()
