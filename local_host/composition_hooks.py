"""The hooks by which an app takes part in the host's life. An app without them is served as well.

A function app that binds `application` in its `function_app.py` may have these on it:

- `await application.open()`, before the first request: the app opens its store, and what stands in its way (a setting,
  a folder in use, a damaged file) is raised here instead of at every request.
- `await application.stopping()`, when the host was told to stop: the app lets go of what it runs.
- `application.timers_at_start`: names of timer functions that are to run once when the host is ready.
- `await application.aclose()`, when the last request has ended: the worker has no hook for that.
"""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from local_host.errors import in_one_line

_log = logging.getLogger(__name__)
_APP = "function_app"
_LET_GO_WITHIN = 2.0  # seconds
_CLOSE_WITHIN = 1.0


async def open_store() -> None:
    """Raises AppRefusedError, one line, where the app cannot work with its store or settings."""
    hook = _hook("open")
    if hook is None:
        return
    try:
        with in_one_line():
            await hook()
    except BaseException:
        await close_store()
        raise


def timers_at_start() -> Collection[str]:
    """Names of functions; none where the app names none."""
    return getattr(getattr(sys.modules.get(_APP), "application", None), "timers_at_start", ())


async def let_go() -> None:
    """Let the app give back what it runs. Who does not let go in time is cancelled with the activities."""
    hook = _hook("stopping")
    if hook is None:
        return
    try:
        await asyncio.wait_for(hook(), timeout=_LET_GO_WITHIN)
    except TimeoutError:
        _log.warning("Some attempts did not let go in time")
    except Exception:
        _log.exception("The app did not let go of what it runs")


async def close_store() -> None:
    """Let the app close what it has open. An app that fails or hangs at this does not hold the exit."""
    hook = _hook("aclose")
    if hook is None:
        return
    try:
        await asyncio.wait_for(hook(), timeout=_CLOSE_WITHIN)
    except Exception:
        _log.exception("The app's stores did not close")


def _hook(name: str) -> Callable[[], Awaitable[Any]] | None:
    return getattr(getattr(sys.modules.get(_APP), "application", None), name, None)
