"""Several processes behind one port: each serves the whole app, with an engine of its own, on one task hub.

So what works only where starts, polls, attempts and timers share a process shows, as it would on the platform.
"""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from local_host import console
from local_host.child import Child, dies_with_parent
from local_host.clock import Clock
from local_host.errors import EngineError
from local_host.front import Front
from local_host.http_server import Server
from local_host.options import Options, Stop

_READY_WITHIN = 90.0  # seconds
_LOOK_EVERY = 0.05  # seconds


class AppProcess:
    """One of the processes; a Child."""

    def __init__(self, number: int, line: Sequence[str], ready_file: Path) -> None:
        self.number = number
        self.url = ""
        self.base = ""
        """Where the app's routes begin, at `url`."""
        self._ready_file = ready_file
        # In a session of its own: Ctrl-C reaches the parent, which says how to stop.
        self._process = subprocess.Popen(  # noqa: S603 (this program again, no shell)
            line,
            stdin=subprocess.DEVNULL,
            preexec_fn=dies_with_parent(signal.SIGKILL),  # noqa: PLW1509 (one prepared system call)
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def code(self) -> int | None:
        """What it ended with."""
        return self._process.poll()

    def is_ready(self) -> bool:
        """Whether it serves; its URLs are known from then on."""
        if not self.url and self._ready_file.exists():
            ready: dict[str, str] = json.loads(self._ready_file.read_text(encoding="utf-8"))
            self.url, self.base = ready["url"], ready["base"]
        return bool(self.url)

    def begin_stop(self) -> None:
        self._process.terminate()

    def stop(self, within: float = 6.0) -> None:
        self.begin_stop()
        try:
            self._process.wait(within)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


def run_processes(options: Options, listener: socket.socket, url: str, children: list[Child], clock: Clock) -> int:
    """Start them, share requests among them until a signal, and stop them; returns the exit code."""
    with tempfile.TemporaryDirectory(prefix="local-host-") as folder:
        processes = [_start(number, options, url, Path(folder)) for number in range(1, options.processes + 1)]
        children[:0] = processes
        asyncio.run(_serve(options, listener, url, processes, clock))
        for each in processes:
            if options.stop is Stop.KILL:
                each.kill()
            else:
                each.begin_stop()
        for each in processes:
            each.stop()
    return 0


def _start(number: int, options: Options, url: str, folder: Path) -> AppProcess:
    ready = folder / f"{number}.json"
    line = [sys.executable, "-m", "local_host", "--app-root", str(options.app_root), "--port", "0"]
    line += ["--store", options.store, "--data-dir", str(options.data_dir), "--engine", str(options.engine)]
    line += ["--processes", "1", "--stop", str(options.stop), "--loop", options.loop]
    line += ["--behind", url, "--ready-file", str(ready)]
    return AppProcess(number, line if options.local_settings else [*line, "--no-local-settings"], ready)


async def _serve(
    options: Options, listener: socket.socket, url: str, processes: Sequence[AppProcess], clock: Clock
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, lambda: os._exit(1) if stop.is_set() else stop.set())
    if not await _all_ready(processes, stop, clock):
        return
    front = Front([each.url for each in processes])
    server = Server(front.app())
    await server.start(listener)
    try:
        base = url + processes[0].base.removeprefix(processes[0].url)
        console.print_ready(base, clock.monotonic() - options.started, page=None)
        console.say("\n".join(f"\tprocess {each.number}: {each.pid}" for each in processes))
        if options.ready_file:
            draft = options.ready_file.with_name(options.ready_file.name + ".tmp")
            pids = [each.pid for each in processes]
            draft.write_text(json.dumps({"url": url, "base": base, "processes": pids}), encoding="utf-8")
            draft.replace(options.ready_file)
        watch = asyncio.create_task(_report_ends(processes, clock))
        await stop.wait()
        watch.cancel()
    finally:
        await server.close()
        await front.close()


async def _all_ready(processes: Sequence[AppProcess], stop: asyncio.Event, clock: Clock) -> bool:
    """Wait until every process serves; False where a signal came first. EngineError where one has ended."""
    deadline = clock.monotonic() + _READY_WITHIN
    while not all(each.is_ready() for each in processes):
        if stop.is_set():
            return False
        ended = [each for each in processes if each.code is not None]
        if ended or clock.monotonic() > deadline:
            raise EngineError(f"process {(ended or processes)[0].number} did not get ready; what it printed says why")
        await clock.sleep(_LOOK_EVERY)
    return True


async def _report_ends(processes: Sequence[AppProcess], clock: Clock) -> None:
    """One line for each process that ends by itself; the others go on."""
    running = list(processes)
    while running:
        for each in [process for process in running if process.code is not None]:
            running.remove(each)
            console.say(f"local_host: process {each.number} ({each.pid}) has ended with {each.code}")
        await clock.sleep(0.2)
