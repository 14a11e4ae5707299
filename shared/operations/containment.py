"""Keeps what user code raises inside: one handler must not end the process."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager


class Escaped(RuntimeError):
    """User code raised what neither a task nor a future keeps: SystemExit, a native extension's panic, StopIteration.

    `asyncio` would let it through to the loop's runner, or to nobody.
    """

    def __init__(self, raised: BaseException) -> None:
        super().__init__(f"the handler raised {type(raised).__name__}")
        self.raised = raised


@contextmanager
def contained() -> Generator[None]:
    """Around user code: what is neither an Exception nor a cancellation becomes Escaped, with it as the cause."""
    try:
        yield
    except (Exception, asyncio.CancelledError):
        raise
    except BaseException as error:
        raise Escaped(error) from error
