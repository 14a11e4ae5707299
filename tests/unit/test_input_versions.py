"""Stored inputs over a deployment: every version that was ever stored is read, and what does not fit is waited for."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.actions import ActionContext, DeclarationError, Model, action
from shared.actions.declaration import Action
from shared.model.operation import Status
from shared.storage.ports import Storage
from tests.support.parts import World, sqlite

WAIT = timedelta(seconds=15)
SEEN: list[Any] = []


class Name(Model):
    first: str
    last: str


class Order(Model):
    """Version 3: version 1 had `name` as one text, version 2 had `fullName`."""

    id: str = "1"
    name: Name
    copies: int


def declare(*, version: int = 3, model: type[Model] = Order) -> Action:
    async def order(context: ActionContext, request: Any) -> None:
        SEEN.append(request)

    order.__annotations__ = {"context": ActionContext, "request": model, "return": None}
    return action("test:work", post="thing/{id}:work", input_version=version)(order)


def upgrading() -> Action:
    declared = declare()

    @declared.upgrade_input
    def upgrade(version: int, input: dict[str, Any]) -> dict[str, Any]:
        if version == 1:
            input = {"id": input["id"], "fullName": input["name"]}
        first, _, last = input["fullName"].partition(" ")
        return {"id": input["id"], "name": {"first": first, "last": last}, "copies": 1}

    return declared


SAMPLES: dict[int, dict[str, Any]] = {
    1: {"id": "1", "name": "Ada Lovelace"},
    2: {"id": "1", "fullName": "Ada Lovelace"},
    3: {"id": "1", "name": {"first": "Ada", "last": "Lovelace"}, "copies": 1},
}
"""What each version stored. Never change one: add to them."""


class Old(Model):
    id: str = "1"
    full_name: str = ""


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    SEEN.clear()
    async with sqlite(tmp_path) as storage:
        yield storage


async def started_by(storage: Storage, version: int, content: Any) -> tuple[World, Any]:
    """A world of the newest version, and an operation that another one has started."""
    old = declare(version=version, model=Old)
    operation = await World(storage, old).start(old, input_json=json.dumps(content).encode())
    return World(storage, upgrading()), operation


@pytest.mark.parametrize("version", SAMPLES)
async def test_a_sample_of_every_version(storage: Storage, version: int) -> None:
    """It is read as what it meant, and the handler knows one form."""
    world, operation = await started_by(storage, version, SAMPLES[version])
    assert (await world.read(operation)).input_version == version
    assert await world.run(operation) is None
    assert (await world.read(operation)).status is Status.SUCCEEDED
    assert [Order(name=Name(first="Ada", last="Lovelace"), copies=1)] == SEEN


async def test_a_misfit_is_waited_for(storage: Storage) -> None:
    """What does not fit comes back every 15 s for ten minutes, counted as nothing; then it fails with its own code."""
    world, operation = await started_by(storage, 3, {"id": "1", "name": "secret-value"})
    began = world.clock.now()
    for _ in range(3):
        assert await world.run(operation) == world.clock.now() + WAIT
        waiting = await world.read(operation)
        assert (waiting.status, waiting.failures, waiting.losses, waiting.attempt) == (Status.RUNNING, 0, 0, 1)
        assert waiting.last_error is not None
        assert waiting.last_error.code == "InvalidStoredInput"
        assert waiting.misfit_since == began
        world.clock.pass_by(seconds=15)
    world.clock.pass_by(seconds=(began + timedelta(minutes=10) - world.clock.now()).total_seconds())
    assert await world.run(operation) is None
    failed = await world.read(operation)
    assert failed.outcome is not None
    assert failed.outcome.error is not None
    assert (failed.status, failed.outcome.error.code) == (Status.FAILED, "InvalidStoredInput")
    assert "name" in failed.outcome.error.message
    assert "secret-value" not in failed.outcome.error.message


async def test_an_instance_that_knows_it_goes_on(storage: Storage) -> None:
    """During a rolling update an instance of the other version takes it over, and patience begins anew."""
    world, operation = await started_by(storage, 2, SAMPLES[2])
    other = World(storage, declare(), clock=world.clock)  # without the upgrade
    assert await other.run(operation) == world.clock.now() + WAIT
    world.clock.pass_by(seconds=15)
    assert await world.run(operation) is None
    assert (await world.read(operation)).status is Status.SUCCEEDED


async def test_it_is_canceled_meanwhile(storage: Storage) -> None:
    """What waits for an instance that knows it can be canceled as anything that waits."""
    world, operation = await started_by(storage, 3, {"id": "1"})
    await world.run(operation)
    assert (await world.service.cancel("", operation.id)).status is Status.CANCELED


async def test_an_upgrade_that_raises(storage: Storage) -> None:
    """It is a misfit, and its text is not shown: it may repeat a value."""
    declared = declare()

    @declared.upgrade_input
    def upgrade(version: int, input: dict[str, Any]) -> dict[str, Any]:
        raise KeyError(f"nothing in {input}")

    world, operation = await started_by(storage, 1, {"name": "secret-value"})
    world = World(storage, declared, clock=world.clock)
    assert await world.run(operation) == world.clock.now() + WAIT
    error = (await world.read(operation)).last_error
    assert error is not None
    assert error.message.endswith("upgrade_input raised KeyError for version 1")


def test_declarations() -> None:
    """A version is a whole number from 1; an upgrade is for the second one and above, and there is one."""
    for version in (0, -1, 1001, True, "2"):
        with pytest.raises(DeclarationError, match="input_version"):
            declare(version=version)  # pyright: ignore[reportArgumentType]
    with pytest.raises(DeclarationError, match="upgrade_input"):
        declare(version=1).upgrade_input(lambda version, input: input)
    with pytest.raises(DeclarationError, match="there is one of it"):
        upgrading().upgrade_input(lambda version, input: input)
