"""Calling the app's functions as the Python worker calls them.

Source: the worker's `handle_event.invocation_request` (package azure-functions-runtime): async functions run on the
event loop, the others in one thread pool; arguments go in by keyword; `context` is added where it is declared.
"""

import asyncio
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, Protocol
from uuid import uuid4

from azure.functions import Context

from local_host.errors import SettingsError
from local_host.functions import AppFunction

_THREADS = "PYTHON_THREADPOOL_THREAD_COUNT"
_storage = threading.local()


class Calls(Protocol):
    """Runs a function with its trigger's argument."""

    async def __call__(self, function: AppFunction, argument: object, /) -> Any: ...


class InvocationContext(Context):
    """What a function sees as its `context`."""

    def __init__(self, function: AppFunction, invocation_id: str) -> None:
        self._function = function
        self._invocation_id = invocation_id

    @property
    def invocation_id(self) -> str:
        return self._invocation_id

    @property
    def thread_local_storage(self) -> Any:
        return _storage

    @property
    def function_name(self) -> str:
        return self._function.name

    @property
    def function_directory(self) -> str:
        return str(self._function.directory)

    @property
    def trace_context(self) -> Any:
        return SimpleNamespace(trace_parent="", trace_state="", attributes={})

    @property
    def retry_context(self) -> Any:
        return SimpleNamespace(retry_count=0, max_retry_count=0, exception=None)


class Invoker:
    """Runs functions, with the worker's thread pool for those that are not async."""

    def __init__(self, durable_client: str, environment: Mapping[str, str]) -> None:
        """`durable_client`: the JSON a durableClient binding hands to the function."""
        self._durable_client = durable_client
        self._threads = ThreadPoolExecutor(_thread_count(environment), thread_name_prefix="function")

    async def call(self, function: AppFunction, argument: object) -> Any:
        """Run one function with its trigger's argument; what it raises passes through."""
        invocation_id = str(uuid4())
        arguments: dict[str, Any] = {function.argument: argument}
        for client in function.clients:
            arguments[client] = self._durable_client
        context = InvocationContext(function, invocation_id)
        if function.takes_context:
            arguments["context"] = context
        if function.is_async:
            return await function.call(**arguments)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, _in_thread, function, arguments, invocation_id)

    def close(self) -> None:
        """Take no more calls; a sync function that runs cannot be stopped and is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _in_thread(function: AppFunction, arguments: Mapping[str, Any], invocation_id: str) -> Any:
    _storage.invocation_id = invocation_id
    try:
        return function.call(**arguments)
    finally:
        _storage.invocation_id = None


def _thread_count(environment: Mapping[str, str]) -> int | None:
    text = environment.get(_THREADS)
    if text is None:
        return None
    if not text.isdigit() or int(text) < 1:
        raise SettingsError(f"{_THREADS} must be a whole number of threads, not '{text}'")
    return int(text)
