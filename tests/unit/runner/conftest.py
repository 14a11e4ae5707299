"""A world in which one action runs."""

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.actions import action
from shared.model.timing import Timing
from tests.support.parts import Faults, FaultyStorage, World, sqlite


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[FaultyStorage]:
    async with sqlite(tmp_path) as inner:
        yield FaultyStorage(inner, Faults())


@pytest.fixture
def make(storage: FaultyStorage) -> Callable[..., World]:
    """A world with one action, `test:work`, whose handler and policies the test gives."""

    def make(
        handler: Callable[..., Any],
        *,
        function_timeout: timedelta | None = None,
        timing: Timing | None = None,
        settings: Mapping[str, str] | None = None,
        **policies: Any,
    ) -> World:
        declared = action("test:work", post="thing/{id}:work", **policies)(handler)
        return World(storage, declared, function_timeout=function_timeout, timing=timing, settings=settings)

    return make
