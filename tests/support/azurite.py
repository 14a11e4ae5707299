"""Azurite for tests: one emulator in memory for a whole run, with storage accounts enough for everybody.

With several workers the process that started them runs it, and each worker has accounts of its own. Missing: skipped on
a laptop, a failure where CI is set.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_host.azurite import EMULATOR_ACCOUNT, EMULATOR_KEY, Azurite
from local_host.errors import AzuriteError

ROOT = Path(__file__).parents[2]
_WORKERS = 16
_ACCOUNTS_EACH = 40
_VARIABLE = "AZURITE_ACCOUNTS"
_started = pytest.StashKey[Azurite]()


class Accounts:
    """Storage accounts of one worker: nothing that one of them holds is seen through another."""

    def __init__(self, connection: str, worker: int) -> None:
        self._connection = connection
        self._names = iter(_names(worker))

    def fresh(self) -> str:
        """The connection string of an account that nobody has used."""
        return self._connection.replace(EMULATOR_ACCOUNT, next(self._names))


def _names(worker: int) -> list[str]:
    return [f"tests{worker}x{number}" for number in range(_ACCOUNTS_EACH)]


def _emulator() -> Azurite:
    return Azurite(ROOT, in_memory=True)


def _start(emulator: Azurite) -> str:
    """The emulator reads the names of its accounts from the environment that it inherits."""
    names = (name for worker in range(_WORKERS) for name in _names(worker))
    os.environ[_VARIABLE] = ";".join(f"{name}:{EMULATOR_KEY}" for name in names)
    try:
        return emulator.start()
    finally:
        del os.environ[_VARIABLE]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config) -> None:
    """Start one emulator for all workers, before there are any."""
    try:
        config.stash[_started] = _emulator()
    except AzuriteError:
        return  # each test that needs it says so
    config.stash[_CONNECTION] = _start(config.stash[_started])


_CONNECTION = pytest.StashKey[str]()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: object) -> None:
    """Tell a worker where the emulator is."""
    config: pytest.Config = node.config  # type: ignore[attr-defined]
    node.workerinput["azurite"] = config.stash.get(_CONNECTION, None)  # type: ignore[attr-defined]


def pytest_unconfigure(config: pytest.Config) -> None:
    if emulator := config.stash.get(_started, None):
        emulator.stop()


@pytest.fixture(scope="session")
def accounts(request: pytest.FixtureRequest) -> Iterator[Accounts]:
    """Accounts of a running emulator."""
    worker: dict[str, str] = getattr(request.config, "workerinput", {})
    if connection := worker.get("azurite"):
        yield Accounts(connection, int(worker["workerid"].removeprefix("gw")))
        return
    try:
        emulator = _emulator()
    except AzuriteError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))
    try:
        yield Accounts(_start(emulator), 0)
    finally:
        emulator.stop()


@pytest.fixture(scope="session")
def azurite(accounts: Accounts) -> str:
    """The connection string of a running emulator."""
    return accounts.fresh()
