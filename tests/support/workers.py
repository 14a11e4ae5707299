"""What the Functions host keeps of an app's log lines, under the rules of each generation of its Python worker.

A worker sends a line with the name of the invocation that it finds for it; the host keeps a line only while an
invocation of that name runs (`GrpcWorkerChannel.Log` of Azure/azure-functions-host).
"""

import asyncio
import json
import logging
import threading
from collections.abc import Coroutine, Mapping
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any, Self

from azure.functions.decorators.core import BindingDirection
from azure.functions.decorators.function_app import Function


class WorkerTask(asyncio.Task[Any]):
    """A task that has the invocation of the one that has made it: `ContextEnabledTask` in both dispatchers."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], **options: Any) -> None:
        super().__init__(coroutine, **options)
        maker = asyncio.current_task(options["loop"])
        self.invocation_id: str | None = getattr(maker, "invocation_id", None)


def of_task() -> str | None:
    """The invocation of the task that runs, where one does: what both dispatchers look at first."""
    try:
        return getattr(asyncio.current_task(), "invocation_id", None)
    except RuntimeError:
        return None


class Worker(logging.Handler):
    """Calls functions, and takes log lines as the root logger's handler. Used on one event loop."""

    def __init__(self) -> None:
        super().__init__()
        self.running: set[str] = set()
        self.kept: list[tuple[str, str]] = []
        """Invocation and text."""
        self.dropped: list[tuple[str | None, str]] = []

    def invocation_id(self) -> str | None:
        """Of a line that is written here and now."""
        raise NotImplementedError

    async def call(self, function: Function, invocation_id: str, arguments: Mapping[str, Any]) -> Any:
        """Call a function as in a task that has its invocation. A string comes as JSON does from the host."""
        raise NotImplementedError

    def invoke(self, function: Function, invocation_id: str, **arguments: Any) -> asyncio.Task[Any]:
        async def handle() -> Any:
            task = asyncio.current_task()
            assert isinstance(task, WorkerTask)
            task.invocation_id = invocation_id
            self.running.add(invocation_id)
            try:
                return await self.call(function, invocation_id, arguments)
            finally:
                self.running.discard(invocation_id)

        return asyncio.create_task(handle())

    def emit(self, record: logging.LogRecord) -> None:
        if not record.name.startswith(("shared", "tests")):
            return  # the worker's and the SDK's own
        found = self.invocation_id()
        if found in self.running:
            self.kept.append((found, record.getMessage()))
        else:
            self.dropped.append((found, record.getMessage()))

    async def __aenter__(self) -> Self:
        self._loop, root = asyncio.get_running_loop(), logging.getLogger()
        self._before = root.level
        self._loop.set_task_factory(lambda loop, coroutine, **options: WorkerTask(coroutine, loop=loop, **options))
        root.setLevel(logging.INFO)
        root.addHandler(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        logging.getLogger().removeHandler(self)
        logging.getLogger().setLevel(self._before)
        self._loop.set_task_factory(None)


class OlderWorker(Worker):
    """Python up to 3.12. It is no package, so its rules are written down here.

    Source: Azure/azure-functions-python-worker 7e6acf36, `azure_functions_worker/dispatcher.py`:
    `_handle__invocation_request` and `get_current_invocation_id`.
    """

    def __init__(self) -> None:
        super().__init__()
        self._storage = threading.local()

    def invocation_id(self) -> str | None:
        return of_task() or getattr(self._storage, "invocation_id", None)

    async def call(self, function: Function, invocation_id: str, arguments: Mapping[str, Any]) -> Any:
        context = SimpleNamespace(invocation_id=invocation_id, thread_local_storage=self._storage)
        self._storage.invocation_id = invocation_id
        return await function.get_user_function()(**arguments, context=context)


class NewerWorker(Worker):
    """Python from 3.13 on: the real package azure-functions-runtime calls the functions.

    What is around it is no package. Source: Azure/azure-functions-python-worker 0320cd79,
    `workers/proxy_worker/dispatcher.py`: `_handle__invocation_request` and `get_current_invocation_id`.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._threads: dict[int, str] = {}

    def invocation_id(self) -> str | None:
        import azure_functions_runtime

        return of_task() or azure_functions_runtime.invocation_id_cv.get() or self._threads.get(threading.get_ident())

    async def call(self, function: Function, invocation_id: str, arguments: Mapping[str, Any]) -> Any:
        from azure_functions_runtime import handle_event

        self._threads[threading.get_ident()] = invocation_id
        inputs = [Message(name=name, data=Message(json=json.dumps(value))) for name, value in arguments.items()]
        request = Message(
            invocation_id=invocation_id,
            function_id=await self.function_id(function),
            input_data=inputs,
            trigger_metadata={},
            trace_context=Message(trace_parent="", trace_state="", attributes={}),
            retry_context=Message(retry_count=0, max_retry_count=0, exception=None),
        )
        answer = await handle_event.invocation_request(Message(request=Message(invocation_request=request)))
        assert answer.result.status == Message.Success, answer.result.exception
        return answer

    async def function_id(self, function: Function) -> str:
        """Have the runtime know the function, as after a start in a folder of its own."""
        from azure_functions_runtime import handle_event

        start = Message(capabilities={}, function_app_directory=str(self._folder))
        properties = {"host": "localhost", "protos": Protocol()}
        answer = await handle_event.worker_init_request(
            Message(request=Message(worker_init_request=start), properties=properties)
        )
        assert answer.result.status == Message.Success
        return handle_event._functions.add_indexed_function(function, Protocol()).function_id


class NativeWorker(NewerWorker):
    """The worker that comes after: the same runtime, which is called without the protocol's messages.

    Source: Azure/azure-functions-python-worker 03e5d49f, `workers/r2p2/bridge/bridge.py`: `_current_invocation_id`.
    """

    def invocation_id(self) -> str | None:
        import azure_functions_runtime
        from azure_functions_runtime.bindings.context import _invocation_id_local

        return azure_functions_runtime.invocation_id_cv.get() or getattr(_invocation_id_local, "invocation_id", None)

    async def call(self, function: Function, invocation_id: str, arguments: Mapping[str, Any]) -> Any:
        from azure_functions_runtime import native_invocation
        from azure_functions_runtime.bindings.datumdef import Datum

        inputs = [(name, Datum(json.dumps(value), "json")) for name, value in arguments.items()]
        known = await self.function_id(function)
        ok, *answer = await native_invocation.invocation_request_native(invocation_id, known, inputs, {})
        assert ok, answer
        return answer


class Message(SimpleNamespace):
    """Any message of the worker's protocol, with what the runtime looks up in their classes."""

    Success, Failure = 1, 0
    inout, out, undefined = BindingDirection.INOUT.value, BindingDirection.OUT.value, None

    def WhichOneof(self, group: str) -> str:
        return next(name for name in vars(self) if name != "name")


class Protocol:
    """The module of the protocol's messages."""

    def __getattr__(self, name: str) -> type[Message]:
        return Message
