"""The engine's program, and cases that mostly wait: those of a file run side by side, each test waits for its own."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.engine.support import engine_program
from tests.support.host import pytest_runtest_makereport

__all__ = ["outcomes", "program", "pytest_runtest_makereport"]

Case = Callable[[Path, Path], None]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, or fail, at one place for all tests: the summary has one line of it, not one a test."""
    engine_program()


@pytest.fixture(scope="session")
def program() -> Path:
    """The Durable extension's program."""
    return engine_program()


@pytest.fixture(scope="module")
def outcomes(
    request: pytest.FixtureRequest, program: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[Case, "Future[None]"]]:
    """The selected cases of the file, side by side."""
    items = [item for item in request.session.items if item.path == request.path]
    parameters = [getattr(getattr(item, "callspec", None), "params", {}) for item in items]
    selected: list[Case] = [each["case"] for each in parameters if "case" in each]
    with ThreadPoolExecutor(max(1, len(selected))) as threads:
        yield {each: threads.submit(each, tmp_path_factory.mktemp(each.__name__), program) for each in selected}
