"""The engine port on the Durable client: every word mapped, every failure translated, bounded in time."""

import asyncio
import time
from typing import Any

import pytest
from azure.durable_functions import OrchestrationRuntimeStatus

from blueprints.durable import CALL_WITHIN, DurableEngine
from shared.engine.port import ACTIVITY, ORCHESTRATOR, Work
from shared.errors import EngineError

WORK = Work.parse("0123456789abcdef!op@1")
LIVE = {"Running", "Pending", "ContinuedAsNew", "Suspended"}


class Status:
    def __init__(self, word: Any) -> None:
        self.runtime_status = word

    def __bool__(self) -> bool:
        return self.runtime_status is not None


class Client:
    """Answers with what a test says: a word, or an exception."""

    def __init__(self, start: Any = None, status: Any = None, end: Any = None) -> None:
        """`end` is what a purge and a termination come to."""
        self.start, self.status, self.end = start, status, end
        self.calls: list[tuple[Any, ...]] = []

    async def start_new(
        self, orchestration_function_name: str, instance_id: str | None = None, client_input: Any = None
    ) -> str:
        self.calls.append((orchestration_function_name, instance_id, client_input))
        if self.start == "hangs":
            await asyncio.sleep(30)
        if self.start == "fails late":
            await asyncio.sleep(0.3)
            raise ValueError
        if isinstance(self.start, BaseException):
            raise self.start
        return instance_id or ""

    async def get_status(self, instance_id: str) -> Any:
        if self.status == "hangs":
            await asyncio.sleep(30)
        if isinstance(self.status, BaseException):
            raise self.status
        return Status(self.status)

    async def purge_instance_history(self, instance_id: str) -> Any:
        await self._end(("purge", instance_id))

    async def terminate(self, instance_id: str, reason: str) -> None:
        await self._end(("terminate", instance_id))

    async def _end(self, call: tuple[Any, ...]) -> None:
        self.calls.append(call)
        if self.end == "hangs":
            await asyncio.sleep(30)
        if isinstance(self.end, BaseException):
            raise self.end


@pytest.mark.parametrize("word", list(OrchestrationRuntimeStatus))
@pytest.mark.parametrize("as_text", [False, True])
async def test_every_word(word: OrchestrationRuntimeStatus, as_text: bool) -> None:
    """Each word the SDK knows is live or finished, as value or as text: none is forgotten."""
    engine = DurableEngine(Client(status=word.value if as_text else word))
    assert await engine.is_live("i") is (word.value in LIVE)
    assert {w.value for w in OrchestrationRuntimeStatus} == LIVE | {"Completed", "Failed", "Terminated", "Canceled"}


async def test_unknown_instance() -> None:
    """An instance nobody knows is not live."""
    assert await DurableEngine(Client(status=None)).is_live("i") is False


async def test_start() -> None:
    """Only the work's text crosses the engine, under the names every task hub knows."""
    client = Client()
    await DurableEngine(client).start("run.1", WORK)
    assert client.calls == [("longRunningActionOrchestrator", "run.1", "0123456789abcdef!op@1")]
    assert (ORCHESTRATOR, ACTIVITY) == ("longRunningActionOrchestrator", "longRunningActions")
    assert Work.parse(f'"{WORK}"') == Work.parse(str(WORK)) == WORK


def test_a_client_that_nobody_needs() -> None:
    """One is made of its binding's JSON when it is used first: a poll that starts nothing reads none."""
    engine = DurableEngine("no JSON")
    with pytest.raises(ValueError, match="Expecting value"):
        engine._client  # noqa: B018  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize("status", ["Running", "Pending"])
async def test_already_exists(status: str) -> None:
    """A start refused because the instance is live counts as started."""
    await DurableEngine(Client(start=Exception("already exists"), status=status)).start("run.1", WORK)


@pytest.mark.parametrize(
    ("start", "status"),
    [
        (Exception("500"), None),
        (Exception("500"), "Completed"),
        (Exception("500"), Exception("again")),
        (OSError("refused"), "Running"),
        (TimeoutError(), "Running"),
        (ValueError("x"), None),
    ],
    ids=repr,
)
async def test_failures(start: Exception, status: Any) -> None:
    """Whatever else goes wrong is an EngineError that names the instance."""
    with pytest.raises(EngineError, match=r"run\.1"):
        await DurableEngine(Client(start=start, status=status)).start("run.1", WORK)


@pytest.mark.parametrize(("start", "status"), [("hangs", "Running"), ("fails late", "hangs")], ids=str)
async def test_time(start: Any, status: Any) -> None:
    """A start is over in its time, looking after it included."""
    began = time.monotonic()
    with pytest.raises(EngineError):
        await DurableEngine(Client(start=start, status=status), within=0.4).start("run.1", WORK)
    assert time.monotonic() - began < 20


async def test_status_failures() -> None:
    """A status that cannot be had is an EngineError, not 'not live': that would start it twice."""
    with pytest.raises(EngineError):
        await DurableEngine(Client(status=Exception("500"))).is_live("i")
    assert CALL_WITHIN < 10


@pytest.mark.parametrize("word", [*sorted(LIVE), "Completed", None])
async def test_refused_purge(word: str | None) -> None:
    """A purge that is refused says whether the instance has not ended (412), or that it failed."""
    client = Client(status=word, end=Exception("status code 412"))
    if word in LIVE:
        assert await DurableEngine(client).purge("run.1") is False
    else:
        with pytest.raises(EngineError, match=r"did not purge run\.1: status code 412"):
            await DurableEngine(client).purge("run.1")
    assert client.calls == [("purge", "run.1")]


async def test_refused_termination() -> None:
    """A termination that is refused because there is nothing to end is done; any other one is an EngineError."""
    for word in ("Completed", None):
        await DurableEngine(Client(status=word, end=Exception("404"))).terminate("run.1")
    with pytest.raises(EngineError, match=r"did not terminate run\.1: 500"):
        await DurableEngine(Client(status="Running", end=Exception("500"))).terminate("run.1")


@pytest.mark.parametrize("end", ["hangs", OSError("refused"), Exception("500")], ids=repr)
async def test_end_without_answer(end: Any) -> None:
    """Where the task hub cannot be reached, both are an EngineError, in their time."""
    engine = DurableEngine(Client(status=Exception("again"), end=end), within=0.1)
    for call in (engine.purge, engine.terminate):
        with pytest.raises(EngineError):
            await call("run.1")
