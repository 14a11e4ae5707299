"""How handlers in processes end, and what their ends make of the operation: as in a thread, and by dying."""

from pathlib import Path
from typing import Any

import pytest

from shared.errors import ErrorDetail
from shared.model.operation import Status
from tests.support.parts import World
from tests.unit.processes.conftest import Processes
from tests.unit.runner.handlers import error_code

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def processes(lasting_world: World, tmp_path: Path) -> Processes:
    """Processes of earlier tests run the handlers of later ones."""
    return Processes(lasting_world, tmp_path)


async def test_result(processes: Processes) -> None:
    """It is the JSON of what the handler declares, made in the process."""
    ended = await processes.run("numbers:ends", "returns", {"a": [1, "é"]})
    assert (ended.status, ended.attempt, ended.failures) == (Status.SUCCEEDED, 1, 0)
    assert ended.outcome is not None
    assert ended.outcome.body is not None
    assert ended.outcome.body.text == '{"value":{"a":[1,"é"]}}'


async def test_no_result(processes: Processes) -> None:
    """A handler that declares nothing returns nothing: 204. Something is refused."""
    ended = await processes.run("numbers:nothing", "reports", 1)
    assert ended.outcome is not None
    assert (ended.outcome.status_code, ended.outcome.body) == (204, None)
    assert error_code(await processes.run("numbers:nothing", "returns")) == "InvalidResult"


@pytest.mark.parametrize(
    ("does", "code", "status"),
    [
        ("returns_what_is_not_declared", "InvalidResult", 500),
        ("fails", "Broken", 422),
    ],
)
async def test_final_errors(processes: Processes, does: str, code: str, status: int) -> None:
    """They end the operation at once."""
    ended = await processes.run("numbers:ends", does)
    assert (ended.status, error_code(ended)) == (Status.FAILED, code)
    assert ended.outcome is not None
    assert ended.outcome.status_code == status
    if does == "fails":
        error = ended.outcome.error
        assert error is not None
        assert (error.message, error.target, error.details) == (
            "It broke.",
            "here",
            (ErrorDetail("Detail", "More.", "there"),),
        )


@pytest.mark.parametrize(
    ("does", "code", "words"),
    [
        ("fails_for_now", "Broken", "It broke."),
        ("fails_as_a_request", "Busy", "Not now."),
        ("raises", "ActionError", "(ValueError)"),
        ("leaves", "ActionError", "(SystemExit)"),
        ("exits", "HandlerProcessDied", "exit code 7"),
        ("segfaults", "HandlerProcessDied", "SIGSEGV"),
        ("is_killed", "HandlerProcessDied", "SIGKILL, as the system does where memory runs out"),
    ],
)
async def test_failed_attempts(
    processes: Processes, caplog: pytest.LogCaptureFixture, does: str, code: str, words: str
) -> None:
    """They are tried again as the action says; the second one is the last here. The app goes on."""
    failed = await processes.run("numbers:ends", does)
    assert (failed.status, failed.failures, failed.losses) == (Status.RUNNING, 1, 0)
    assert failed.last_error is not None
    assert failed.last_error.code == code
    assert words in failed.last_error.message
    processes.world.clock.pass_by(seconds=10)
    assert await processes.world.run(failed) is None
    ended = await processes.world.read(failed)
    assert (ended.status, ended.failures, error_code(ended)) == (Status.FAILED, 1, code)
    assert "a secret" not in str(ended)
    # Its traceback is in the log, that of a crash as well.
    if does == "raises":
        assert 'raise ValueError("a secret")' in caplog.text
    assert (await processes.run("numbers:ends", "returns")).status is Status.SUCCEEDED


async def test_what_must_not_run_twice_has_failed(processes: Processes) -> None:
    """A process that dies by itself is no lost instance: its handler has begun, and its operation has failed."""
    ended = await processes.run("numbers:once", "exits")
    assert (ended.status, ended.losses, error_code(ended)) == (Status.FAILED, 0, "HandlerProcessDied")


async def test_traces_of_a_crash(processes: Processes, caplog: pytest.LogCaptureFixture) -> None:
    """The log has where the interpreter was when the process crashed, beside the operation."""
    caplog.set_level("INFO")
    await processes.world.processes.aclose()  # a process is told at its start which levels are logged
    failed = await processes.run("numbers:ends", "segfaults")
    lines = [each.getMessage() for each in caplog.records if each.__dict__.get("event") == "handler_output"]
    assert any("Segmentation fault" in line and f"operation_id={failed.id}" in line for line in lines)
    assert any("in segfaults" in line for line in lines)


async def test_a_broken_channel(processes: Processes) -> None:
    """What is no frame ends the process: a failed attempt, and not the app's memory."""
    failed = await processes.run("numbers:ends", "writes_to_the_channel")
    assert failed.last_error is not None
    assert "its channel to the app was broken" in failed.last_error.message


async def test_slices(processes: Processes) -> None:
    """ContinueLater ends the slice; the next one goes on from the checkpoint, in whatever process."""
    world = processes.world
    started = await processes.start("numbers:ends", "goes_on")
    again = await world.run(started)
    for _ in range(2):
        assert again is not None
        world.clock.pass_by(seconds=max(0.0, (again - world.clock.now()).total_seconds()))
        again = await world.run(started)
    ended = await world.read(started)
    assert (ended.status, ended.attempt, ended.failures, ended.losses) == (Status.SUCCEEDED, 1, 0, 0)
    assert ended.outcome is not None
    assert ended.outcome.body is not None
    assert ended.outcome.body.text == '{"value":{"slice":3}}'


@pytest.mark.parametrize(
    ("settings", "size", "code"), [({"MAX_RESULT_BYTES": "1000"}, 2000, "ResultTooLarge"), ({}, 3_000_000, None)]
)
async def test_large_results(processes: Processes, settings: dict[str, str], size: int, code: str | None) -> None:
    """Up to MAX_RESULT_BYTES, and no more: that is found in the process."""
    world = World(processes.world.storage, *processes.world.actions.values(), settings=settings)
    ended = await Processes(world, processes.folder).run("numbers:ends", "returns_much", size)
    await world.processes.aclose()
    assert error_code(ended) == code
    if code is None:
        assert ended.outcome is not None
        assert ended.outcome.body is not None
        assert ended.outcome.body.size == size + len('{"value":""}')


async def test_stored_input_that_does_not_fit(processes: Processes) -> None:
    """The process reads the input by the model: what does not fit is left to other versions for a while."""
    world, action = processes.world, "numbers:ends"
    started = await world.start(world.actions[action], input_json=b'{"do": 7}')
    assert await world.run(started) == world.clock.now() + world.timing.unknown_action_wait
    waiting = await world.read(started)
    assert (waiting.failures, waiting.last_error and waiting.last_error.code) == (0, "InvalidStoredInput")
    world.clock.pass_by(minutes=11)
    await world.run(started)
    assert error_code(await world.read(started)) == "InvalidStoredInput"


async def test_an_action_that_the_process_does_not_know(processes: Processes, caplog: pytest.LogCaptureFixture) -> None:
    """The files have changed since the app started: a failed attempt, whose reason is in the log."""
    world = processes.world
    declared = world.actions["numbers:ends"]
    declared_name: Any = declared.name
    declared.name = "numbers:other"
    world.actions["numbers:other"] = declared
    try:
        failed = await processes.run("numbers:other", "returns")
    finally:
        declared.name = declared_name
        del world.actions["numbers:other"]
    assert (failed.last_error and failed.last_error.code) == "ActionError"
    assert "the process does not know numbers:other" in caplog.text
