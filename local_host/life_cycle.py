"""The event loop of the process: signals, and an exit that nothing holds up."""

import asyncio
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress

from local_host import console
from local_host.azurite import Azurite
from local_host.child import Child
from local_host.clock import Clock
from local_host.errors import SettingsError
from local_host.host import Host
from local_host.options import Options, Stop

_THREADS_END_WITHIN = 0.3  # seconds
_LOOK_EVERY = 0.01  # seconds


def serve_until_signal(
    host: Host, listener: socket.socket, children: Sequence[Child], clock: Clock, options: Options
) -> None:
    """Run the event loop. Not `asyncio.run`: it would wait for every thread of the default executor."""
    loop = _new_loop(options.loop)
    stop = asyncio.Event()

    def on_signal() -> None:
        if stop.is_set():
            exit_now(children, 1)
        if options.stop is Stop.KILL:
            _exit_as_killed(children)
        stop.set()
        watchdog = threading.Timer(options.stop_within, exit_now, [children, 0])
        watchdog.daemon = True
        watchdog.start()
        console.say("Stopping ... (again: at once)")

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
    try:
        loop.run_until_complete(host.serve(listener, stop))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()
    if _threads_left(clock):
        # A sync function that still runs cannot be stopped; the interpreter would wait for it.
        for child in children:
            child.stop()
        exit_now([], 0)


def _new_loop(name: str) -> asyncio.AbstractEventLoop:
    """SettingsError where uvloop is not installed."""
    if name != "uvloop":
        return asyncio.new_event_loop()
    try:
        import uvloop  # noqa: PLC0415 (an optional package)
    except ImportError:
        raise SettingsError("--loop uvloop needs the package uvloop: pip install uvloop") from None
    return uvloop.new_event_loop()


def _exit_as_killed(children: Sequence[Child]) -> None:
    """What is of this instance ends where it is; the storage emulator, which is not, is stopped properly."""
    for child in children:
        if isinstance(child, Azurite):
            child.stop()
        else:
            child.kill()
    exit_now([], 0)


def exit_now(children: Sequence[Child], code: int) -> None:
    """End the process, and what it has started, without waiting for anything."""
    for child in children:
        child.kill()
    with suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _threads_left(clock: Clock) -> bool:
    deadline = clock.monotonic() + _THREADS_END_WITHIN
    while clock.monotonic() < deadline:
        others = [each for each in threading.enumerate() if not each.daemon and each is not threading.main_thread()]
        if not others:
            return False
        clock.pause(_LOOK_EVERY)
    return True
