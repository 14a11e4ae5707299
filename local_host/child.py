"""Processes that the host starts: what it does with them at its end, and what the kernel does when it is killed."""

import ctypes
import signal
import sys
from collections.abc import Callable
from typing import Protocol

_PR_SET_PDEATHSIG = 1


class Child(Protocol):
    """A process of this host. Both calls are harmless where it does not run."""

    def stop(self) -> None:
        """End it in its own time, within some seconds."""
        ...

    def kill(self) -> None:
        """End it at once, for an exit that must not wait."""
        ...


def dies_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    """For `Popen(preexec_fn=)`: on Linux the kernel sends the child this signal when its host dies, even by SIGKILL.

    prctl(2), PR_SET_PDEATHSIG. To be called from the main thread: the end of the thread that forks counts.
    """
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)  # loaded before the fork: the child only makes the call
    return lambda: libc.prctl(_PR_SET_PDEATHSIG, number) and None
