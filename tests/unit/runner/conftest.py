"""A world in which one action runs."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.actions import action
from shared.operations import handler_runs, runner
from tests.unit.parts import Faults, FaultyStorage, World, sqlite


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[FaultyStorage]:
    async with sqlite(tmp_path) as inner:
        yield FaultyStorage(inner, Faults())


@pytest.fixture
def make(storage: FaultyStorage) -> Callable[..., World]:
    """A world with one action, `test:work`, whose handler and policies the test gives."""

    def make(handler: Callable[..., Any], *, function_timeout: timedelta | None = None, **policies: Any) -> World:
        declared = action("test:work", post="thing/{id}:work", **policies)(handler)
        return World(storage, declared, function_timeout=function_timeout)

    return make


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Handlers get half a second to stop."""
    for module in (handler_runs, runner):
        monkeypatch.setattr(module, "GRACE", 0.3)
