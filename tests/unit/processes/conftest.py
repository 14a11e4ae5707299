"""A world whose actions compute in processes."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic_core import from_json

from shared.actions.registry import discover
from shared.model.operation import Operation, Status
from tests.support import computing
from tests.support.parts import Faults, FaultyStorage, World, sqlite
from tests.unit.runner.handlers import error_code, until


class Processes:
    """The world, and shortcuts to what its handlers do."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.folder = folder

    async def start(self, action: str, does: str, value: Any = None) -> Operation:
        task = {"do": does, "value": value, "folder": str(self.folder)}
        return await self.world.start(self.world.actions[action], input_json=json.dumps(task).encode())

    async def run(self, action: str, does: str, value: Any = None) -> Operation:
        """The operation as it is after one attempt."""
        started = await self.start(action, does, value)
        await self.world.run(started)
        return await self.world.read(started)

    async def result(self, does: str, value: Any = None) -> Any:
        """What a handler returns that has one attempt, or what it has failed with."""
        ended = await self.run("numbers:talks", does, value)
        if ended.status is not Status.SUCCEEDED:
            return error_code(ended) or (ended.last_error and ended.last_error.code)
        assert ended.outcome is not None
        assert ended.outcome.body is not None
        content = await self.world.records.load_payload(ended.outcome.body)
        return from_json(content or b"null")

    @property
    def notes(self) -> list[str]:
        """What handlers have written."""
        file = self.folder / "notes"
        return file.read_text(encoding="utf-8").splitlines() if file.exists() else []

    async def begun(self, action: str, does: str) -> "tuple[Operation, asyncio.Task[datetime | None], int]":
        """An operation whose handler runs: with its attempt, and the process that it has named."""
        started = await self.start(action, does)
        running = asyncio.create_task(self.world.run(started))
        await until(lambda: self.notes or running.done())
        return started, running, int(self.notes[0].split()[1])


@pytest.fixture
async def processes(tmp_path: Path) -> AsyncIterator[Processes]:
    async with sqlite(tmp_path / "store") as storage:
        world = World(FaultyStorage(storage, Faults()), *discover(computing).actions.values())
        yield Processes(world, tmp_path)
        await world.processes.aclose()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lasting_world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One world for a file: its processes are used again, as an app's are. Its tests share its event loop."""
    async with sqlite(tmp_path_factory.mktemp("store")) as storage:
        world = World(FaultyStorage(storage, Faults()), *discover(computing).actions.values())
        yield world
        await world.processes.aclose()
