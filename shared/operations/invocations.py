"""Which invocation of the function app a log line belongs to, wherever it is written.

The Functions host keeps a line only where it names an invocation that runs. The worker finds the name at the task of
the invocation, and at tasks made by it: not in a thread, and not in a callback of the loop. There it looks at a
thread-local of its own (Python up to 3.12) or at a context variable (from 3.13 on), and these are set here.

Sources: `get_current_invocation_id` in the worker's `azure_functions_worker/dispatcher.py` and
`proxy_worker/dispatcher.py`; `Log` in the host's `GrpcWorkerChannel.cs`.
"""

from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar

from shared.frozen import frozen

P = ParamSpec("P")
T = TypeVar("T")


@frozen(eq=False)
class Invocation:
    """One call of a function by the worker. Storage and variable are the worker's; an older one has no variable."""

    id: str
    thread_storage: Any
    variable: ContextVar[str | None] | None

    @contextmanager
    def entered(self) -> Generator[None]:
        """Have what this task calls and makes until the block ends, tasks and threads, belong to this invocation."""
        ours = _current.set(self)
        theirs = self.variable.set(self.id) if self.variable else None
        try:
            yield
        finally:
            _current.reset(ours)
            if self.variable and theirs:
                self.variable.reset(theirs)

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `function` for this invocation, in a thread or a callback. It runs through: the thread is its alone."""
        before = getattr(self.thread_storage, "invocation_id", None)
        self.thread_storage.invocation_id = self.id
        try:
            with self.entered():
                return function(*args, **kwargs)
        finally:
            self.thread_storage.invocation_id = before


_current: ContextVar[Invocation | None] = ContextVar("invocation", default=None)


def current() -> Invocation | None:
    """The invocation that the caller works for; None outside the worker."""
    return _current.get()


def attributed(function: Callable[P, T]) -> Callable[P, T]:
    """`function` for another thread, where it works for the invocation of who has called this."""
    invocation = _current.get()
    if invocation is None:
        return function

    def for_invocation(*args: P.args, **kwargs: P.kwargs) -> T:
        return invocation.call(function, *args, **kwargs)

    return for_invocation


class InvocationThreads(ThreadPoolExecutor):
    """Threads that work for the invocation of who calls them. As a loop's default they serve `asyncio.to_thread`."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        return super().submit(attributed(fn), *args, **kwargs)
