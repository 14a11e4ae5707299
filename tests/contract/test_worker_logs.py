"""What an operation's handler and the app log about it reaches the platform, under the rules of every Python worker.

The package azure-functions-runtime asks for Python 3.13. It is installed on 3.11 and 3.12 all the same: what is used of
it here runs there too.
"""

import asyncio
import json
import logging
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import azure.functions as func
import pytest

from blueprints import dispatcher, odata
from blueprints.durable import DFApp
from local_host.durable.binding import durable_client
from shared.actions import ActionContext, SyncActionContext, action
from shared.actions.declaration import Action
from shared.actions.odata.service import ODataService
from shared.actions.registry import Registry
from shared.composition import Application
from shared.engine.port import ACTIVITY, Work
from shared.model.operation import Operation, Status
from tests.support import computing
from tests.support.computing import numbers
from tests.support.parts import Input, World, settings, sqlite
from tests.support.workers import NativeWorker, NewerWorker, OlderWorker, Worker

pytestmark = [
    pytest.mark.timeout(30),
    # The SDK's own call, once a process: the worker names no types.
    pytest.mark.filterwarnings("ignore:azure.functions df_loads was called without expected_type"),
]
_log = logging.getLogger("tests.handlers")


def says(context: SyncActionContext) -> None:
    """What code of a handler logs: by a logger of its own, and by the context's."""
    _log.info("in %s", context.operation_id)
    context.logger.info("half of %d%%", 100)


class Together:
    """Has two handlers run at the same time, on the loop or in threads."""

    def __init__(self) -> None:
        self.tasks, self.threads = asyncio.Barrier(2), threading.Barrier(2)


async def waits(context: ActionContext, together: Together) -> None:
    await together.tasks.wait()
    says(context)


async def makes_a_task(context: ActionContext, together: Together) -> None:
    await together.tasks.wait()
    await asyncio.create_task(waits(context, together))


async def calls_to_thread(context: ActionContext, together: Together) -> None:
    await together.tasks.wait()
    await asyncio.to_thread(computes, context, together)


async def calls_the_executor(context: ActionContext, together: Together) -> None:
    await together.tasks.wait()
    await asyncio.get_running_loop().run_in_executor(None, computes, context, together)


def computes(context: SyncActionContext, together: Together) -> None:
    together.threads.wait(20)
    says(context)


class App:
    """An application whose activity a worker calls; its operations are started beside it."""

    def __init__(self, world: World, application: Application) -> None:
        self.world, self.application = world, application
        self._running: list[asyncio.Task[Any]] = []
        app = DFApp()
        app.register_functions(dispatcher.build(lambda: application.runner))
        [self.activity] = app.get_functions()
        assert self.activity.get_function_name() == ACTIVITY

    async def start(self, worker: Worker, id: str, **changes: Any) -> asyncio.Task[Any]:
        """Start an operation; the invocation that runs it is called after it."""
        operation = await self.world.start(operation_id=id, **changes)
        self._running.append(worker.invoke(self.activity, f"for-{id}", work=str(Work.of(operation))))
        return self._running[-1]

    async def end(self) -> None:
        """Leave nothing behind of a test that has failed."""
        for task in self._running:
            task.cancel()
        await self.world.clock.run_for(minutes=1)
        await asyncio.gather(*self._running, return_exceptions=True)
        await self.application.aclose()

    async def read(self, id: str) -> Operation:
        return await self.world.read(await self.application.service.get("", id))


Make = Callable[[Action], App]


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    async with sqlite(tmp_path) as storage, AsyncExitStack() as stack:

        def make(declared: Action) -> App:
            world = World(storage, declared)
            time = {"clock": world.clock, "timing": world.timing}
            made = Application(
                Registry([declared], package=computing.__name__), settings=settings(tmp_path), storage=storage, **time
            )
            app = App(world, made)
            stack.push_async_callback(app.end)
            return app

        yield make


@pytest.fixture(params=["older", "newer", "native"])
async def worker(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Worker]:
    if request.param != "older":
        pytest.importorskip("azure_functions_runtime", reason="`make test` installs it")
    kinds: dict[str, Callable[[], Worker]] = {
        "older": OlderWorker,
        "newer": lambda: NewerWorker(tmp_path),
        "native": lambda: NativeWorker(tmp_path),
    }
    async with kinds[request.param]() as worker:
        yield worker


def declared(handler: Callable[..., Any]) -> Action:
    return action("test:work", post="thing/{id}:work")(handler)


@pytest.mark.parametrize("handler", [waits, makes_a_task, calls_to_thread, calls_the_executor, computes])
async def test_every_line_arrives(make: Make, worker: Worker, handler: Callable[..., Any]) -> None:
    """Two operations at one time: each line is kept, with its own invocation, and says which operation it is about."""
    together = Together()
    if asyncio.iscoroutinefunction(handler):

        async def work(context: ActionContext, request: Input) -> None:
            await handler(context, together)
    else:

        def work(context: SyncActionContext, request: Input) -> None:
            handler(context, together)

    app = make(declared(work))
    await asyncio.gather(*[await app.start(worker, id) for id in ("one", "two")])
    assert worker.dropped == []
    for id in ("one", "two"):
        assert (await app.read(id)).status is Status.SUCCEEDED
        about = f"operation_id={id} action=test:work attempt=1: "
        assert [text for name, text in worker.kept if name == f"for-{id}"] == [
            f"{about}Attempt began",
            f"in {id}",
            f"{about}half of 100%",
            f"{about}Attempt ended: Succeeded; the operation is Succeeded",
        ]


async def test_lines_of_processes_arrive(make: Make, worker: Worker) -> None:
    """Two processes at one time: what their handlers log and print is kept, each with its own invocation."""
    app = make(numbers.talks)
    input_json = b'{"do": "writes_lines"}'
    await asyncio.gather(*[await app.start(worker, id, input_json=input_json) for id in ("one", "two")])
    assert worker.dropped == []
    for id in ("one", "two"):
        assert (await app.read(id)).status is Status.SUCCEEDED
        about = f"operation_id={id} action=numbers:talks attempt=1: "
        texts = [text for name, text in worker.kept if name == f"for-{id}"]
        assert all(text.startswith(about) for text in texts)
        for line in ("from the handler", "from a library", "to stdout", "to stderr", "no end of line"):
            assert f"{about}{line}" in texts


async def test_what_nobody_runs_takes_no_invocation(make: Make, worker: Worker) -> None:
    """A thread that has worked for one invocation does not log for it what comes later."""
    together = Together()

    async def work(context: ActionContext, request: Input) -> None:
        await asyncio.to_thread(says, context)
        await together.tasks.wait()

    app = make(declared(work))
    await asyncio.gather(*[await app.start(worker, id) for id in ("one", "two")])
    worker.running |= {"for-one", "for-two"}
    await asyncio.to_thread(_log.info, "by nobody")
    assert worker.dropped == [(None, "by nobody")]


async def test_the_watch_of_the_loop_outlives_its_invocation(make: Make, worker: Worker) -> None:
    """A loop that is held up is logged for an attempt that runs, though the one is over in which the watch began."""
    gates, begun = {id: asyncio.Event() for id in ("one", "two")}, asyncio.Barrier(3)

    async def work(context: ActionContext, request: Input) -> None:
        await begun.wait()
        await gates[context.operation_id].wait()

    app = make(declared(work))
    one, two = [await app.start(worker, id) for id in gates]
    clock, timing = app.world.clock, app.world.timing
    await begun.wait()
    gates["one"].set()
    await one
    await clock.run_for(seconds=1)
    clock.pass_by(seconds=timing.loop_watch_interval + timing.loop_lag)
    clock.use_cpu(1)
    await clock.run_for()
    assert worker.dropped == []
    [line] = [(name, text) for name, text in worker.kept if "held up" in text]
    assert line[0] == "for-two"
    assert "while these ran: test:work (two)." in line[1]
    gates["two"].set()
    await two


async def test_a_stop_is_logged(make: Make, worker: Worker) -> None:
    """That the instance stops is kept, though no invocation has said so; so is what becomes of the attempt."""

    begun = asyncio.Event()

    async def work(context: ActionContext, request: Input) -> None:
        if context.operation_id == "one":
            begun.set()
            await asyncio.Event().wait()

    app = make(declared(work))
    one = await app.start(worker, "one")
    await begun.wait()
    await (await app.start(worker, "over"))
    await app.application.stopping()
    await one
    assert worker.dropped == []
    texts = [text for name, text in worker.kept if name == "for-one"]
    assert "The instance is stopping; attempts are given back" in texts
    about = "operation_id=one action=test:work attempt=1: "
    assert texts[-1] == f"{about}Attempt ended: GivenBack; the operation is Running"


async def test_a_failure_is_logged(make: Make, worker: Worker) -> None:
    """What a `def` handler raises arrives with its operation, and so does the end of the attempt, with the code."""

    def work(context: SyncActionContext, request: Input) -> None:
        raise ValueError("no")

    app = make(declared(work))
    await (await app.start(worker, "one"))
    about = "operation_id=one action=test:work attempt=1: "
    assert worker.dropped == []
    assert [text for name, text in worker.kept if name == "for-one"][1:] == [
        f"{about}The handler raised",
        f"{about}Attempt ended: Failed ActionError; the operation is Failed",
    ]


async def test_a_handler_in_an_odata_request(tmp_path: Path) -> None:
    """Where a handler runs in its request, its lines belong to the request's invocation."""
    service = ODataService("Contoso.Library")

    @service.action("Count")
    def count(context: SyncActionContext) -> int:
        says(context)
        return 1

    async with sqlite(tmp_path) as storage, OlderWorker() as worker:
        world = World(storage)
        application = Application(
            Registry(services=[service]), settings=settings(tmp_path), storage=storage, clock=world.clock
        )
        app = DFApp()
        app.register_functions(odata.build(service, lambda: application.odata))
        [function] = [f for f in app.get_functions() if f.get_function_name() == "odata_Count"]
        url = "http://localhost/odata/Count"
        request = func.HttpRequest(method="POST", url=url, headers={"Content-Type": "application/json"}, body=b"{}")
        client = durable_client("http://127.0.0.1:1", "Hub")
        answer = await worker.invoke(function, "for-it", req=request, client=client)
        await application.aclose()
    assert (answer.status_code, json.loads(answer.get_body())["value"]) == (200, 1)
    assert worker.dropped == []
    assert [text.partition(": ")[2] or text[:3] for name, text in worker.kept if name == "for-it"] == [
        "Attempt began",
        "in ",
        "half of 100%",
        "Attempt ended: Succeeded; the operation is Succeeded",
    ]
