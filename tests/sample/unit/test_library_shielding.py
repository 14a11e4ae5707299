"""Steps that a cancel must not cut in two."""

import asyncio

import pytest

from library.shielding import finish_then_cancel, ignore_cancel


class Step:
    """Work that ends when its test lets it."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.go_on, self.done, self.failure = asyncio.Event(), False, failure

    async def run(self) -> str:
        await self.go_on.wait()
        self.done = True
        if self.failure:
            raise self.failure
        return "result"


async def canceled_within(step: Step, work: "asyncio.Task[str]") -> None:
    """Cancel `work` while `step` is under way, then let that end."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    work.cancel()
    await asyncio.sleep(0)
    assert not work.done(), "it waits for its step"
    step.go_on.set()
    await asyncio.wait({work})


@pytest.mark.parametrize("failure", [None, ValueError("no")])
async def test_finish_then_cancel(failure: Exception | None) -> None:
    """A canceled step is waited for, and the cancel goes on whatever came of it."""
    step = Step(failure)
    work = asyncio.create_task(finish_then_cancel(step.run()))
    await canceled_within(step, work)
    assert work.cancelled()
    assert step.done


async def test_ignore_cancel() -> None:
    """A cancel that comes too late is forgotten, so that what follows is not disturbed by it."""
    step = Step()

    async def handler() -> str:
        result = await ignore_cancel(step.run())
        async with asyncio.timeout(10):
            await asyncio.sleep(0)
        task = asyncio.current_task()
        assert task is not None
        return f"{result} {task.cancelling()}"

    work = asyncio.create_task(handler())
    await canceled_within(step, work)
    assert work.result() == "result 0"


async def test_ignore_cancel_of_a_failure() -> None:
    """A step that fails was not done: the cancel is what counts."""
    step = Step(ValueError("no"))
    work = asyncio.create_task(ignore_cancel(step.run()))
    await canceled_within(step, work)
    assert work.cancelled()


@pytest.mark.parametrize("how", [finish_then_cancel, ignore_cancel])
async def test_undisturbed(how) -> None:  # type: ignore[no-untyped-def]
    """Without a cancel, results and failures pass as they are."""
    step = Step()
    step.go_on.set()
    assert await how(step.run()) == "result"
    step.failure = ValueError("no")
    with pytest.raises(ValueError, match="no"):
        await how(step.run())
