"""The process in which handlers run: `python -m shared.operations.process_main CHANNEL PARENT`, for the app alone.

CHANNEL is the number of a socket, PARENT the id of the app's process. Up to the first frame, which says where modules
are found, only the standard library is known. It never imports the function app, nor the SDK of Azure Functions.
"""

import ctypes
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

from shared.operations.process_frames import Channel

_NICENESS = 10
"""The app's own thread comes first: it answers requests and renews leases."""

_PR_SET_PDEATHSIG = 1
"""`prctl(2)`."""


def main() -> None:
    """Serve until the app goes."""
    _, number, parent = sys.argv
    _end_with(int(parent))
    _give_way()
    connection = socket.socket(fileno=int(number))
    # Not for processes that a handler starts: the channel is to end with this one.
    connection.set_inheritable(False)
    channel = Channel(connection)
    hello = channel.receive()
    if hello is None:
        return
    os.chdir(hello.head["folder"])
    sys.path[:] = hello.head["path"]
    sys.argv[:] = sys.argv[:1]
    from shared.operations.process_child import serve  # noqa: PLC0415 - only now modules are found

    serve(channel, hello.head)


def _end_with(parent: int) -> None:
    """Have the system end this process with the thread that has made it: that is the app's event loop.

    Elsewhere than on Linux, the end of the channel does it, once no code holds the interpreter.
    """
    # The app tells its processes to stop; the platform tells the app.
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def _give_way() -> None:
    """Let the app compute first, and live longer where memory runs out."""
    with suppress(OSError):
        os.nice(_NICENESS)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


if __name__ == "__main__":
    main()
