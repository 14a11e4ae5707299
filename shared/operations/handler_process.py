"""One process in which handlers run, one after the other, as the app sees it.

It is made by the event loop's thread: the system ends it with that thread.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from shared.model.timing import Clock
from shared.operations.process_errors import error_of
from shared.operations.process_frames import PART, ChannelEnded, Frame, FrameError, head_of, read_frame
from shared.operations.process_output import OutputLines
from shared.operations.tasks import ends_within

_MAIN = "shared.operations.process_main"
_ROOT = Path(__file__).parents[2]

_MOST_RUNS = 100
_MOST_MEMORY = 300 * 1024 * 1024
"""Resident bytes. After so many runs, or with so much, another process takes its place: what leaks ends with it."""

_GOES_WITHIN = 1.0
"""Seconds for the last lines of a run, and for the end of a process that was let go, or whose channel has ended."""


class ProcessDied(Exception):
    """The process is gone before its handler has ended; the text says how."""

    code = "HandlerProcessDied"


class CallsOfProcess(Protocol):
    """Who does what the process calls for."""

    def take(self, frame: Frame) -> None: ...


Say = Callable[[str], object]
"""Writes a line of the process to the log."""


class HandlerProcess:
    """Made by `started`."""

    def __init__(self, popen: "subprocess.Popen[bytes]", *, limit: int, mark: str, clock: Clock) -> None:
        """`limit`: bytes of the largest content that it may send; `mark` ends its output of a run."""
        self._popen = popen
        self._limit = limit
        self._mark = mark
        self._clock = clock
        self._runs = self._memory = 0
        self._is_broken = self._is_killed = self._is_cut = False
        self._outputs: list[OutputLines] = []
        self._transports: list[asyncio.BaseTransport] = []
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter
        self._sending = asyncio.Lock()
        self._stopping: asyncio.Task[None] | None = None

    @classmethod
    async def started(
        cls, hello: Mapping[str, Any], *, limit: int, within: float, say: Say, clock: Clock
    ) -> "HandlerProcess":
        """Once it has imported what `hello` names. Raises ProcessDied, HandlerRaised, OSError."""
        ours, theirs = socket.socketpair()
        with theirs:
            popen = _popen(theirs)
        mark = f"\0{uuid4().hex}"
        process = cls(popen, limit=limit, mark=mark, clock=clock)
        try:
            await process._connect(ours)
            places = {"path": [str(each) for each in sys.path], "folder": os.getcwd(), "mark": mark}
            async with clock.timeout(within):
                await process.perform([({"kind": "hello", **places, **hello}, b"")], None, say, ends="ready")
        except TimeoutError:
            await process.aclose(kill=True)
            raise ProcessDied(f"it has not imported the app's actions within {within:g} seconds") from None
        except BaseException:
            await process.aclose(kill=True)
            raise
        return process

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def is_fit(self) -> bool:
        """Whether it may run another handler."""
        is_fresh = self._runs < _MOST_RUNS and self._memory <= _MOST_MEMORY
        return is_fresh and not (self._is_broken or self._is_cut) and not self._reader.at_eof()

    async def perform(
        self, frames: Sequence[tuple[Mapping[str, Any], bytes]], calls: CallsOfProcess | None, say: Say, *, ends: str
    ) -> bytes:
        """Send the frames; the content of that which `ends` the run, of this kind.

        Raises ProcessDied, and what the frame says that the handler has raised.
        """
        outputs = [asyncio.create_task(each.until_mark(say), name="output") for each in self._outputs]
        self._is_broken = True
        try:
            try:
                for head, content in frames:
                    await self.send(head, content)
                end = await self._end(calls, ends)
            except (ChannelEnded, OSError) as error:
                raise ProcessDied(await self._death()) from error
            except (FrameError, KeyError, TypeError) as error:
                self.kill()
                raise ProcessDied(await self._death()) from error
            except asyncio.CancelledError:
                self.kill()
                raise
            finally:
                for output in outputs:
                    await ends_within(output, _GOES_WITHIN, self._clock)
            self._is_broken = not all(output.done() for output in outputs)
        finally:
            for output in outputs:
                output.cancel()
        self._runs += calls is not None
        self._memory = end.head.get("memory", 0)
        if (error := end.head.get("error")) is not None:
            raise error_of(error)
        return end.content

    async def send(self, head: Mapping[str, Any], content: bytes) -> None:
        """Raises OSError where it is gone."""
        async with self._sending:
            try:
                self._writer.write(head_of(head, content))
                for at in range(0, len(content), PART):
                    self._writer.write(content[at : at + PART])
                    await self._writer.drain()
            except BaseException:
                # Half a frame: what comes after it would be read as its rest.
                self._is_cut = True
                raise

    def tell_to_stop(self) -> None:
        """Have its handler see that it is to stop."""
        # Not in the midst of another frame: whoever sends it, or waits to, gives way to the loop meanwhile.
        self._stopping = asyncio.create_task(self._send_stop(), name="stop of a handler")

    async def _send_stop(self) -> None:
        with suppress(OSError):
            await self.send({"kind": "stop"}, b"")

    def kill(self) -> None:
        """End it now, and the processes that it has made."""
        self._is_broken = self._is_killed = True
        self._kill_group()

    async def aclose(self, *, kill: bool = False) -> None:
        """Let it go, or `kill` it, and come back when it is gone."""
        if kill:
            self.kill()
        for transport in self._transports:
            transport.close()
        await self._ended()

    async def _connect(self, ours: socket.socket) -> None:
        ours.setblocking(False)
        self._reader, self._writer = await asyncio.open_unix_connection(sock=ours)
        self._transports.append(self._writer.transport)
        for pipe in (self._popen.stdout, self._popen.stderr):
            reader = asyncio.StreamReader()
            transport, _ = await asyncio.get_running_loop().connect_read_pipe(
                lambda reader=reader: asyncio.StreamReaderProtocol(reader), pipe
            )
            self._transports.append(transport)
            self._outputs.append(OutputLines(reader, self._mark, self._clock))

    async def _end(self, calls: CallsOfProcess | None, ends: str) -> Frame:
        while True:
            frame = await read_frame(self._reader, limit=self._limit)
            if frame.head["kind"] in (ends, "end"):
                return frame
            if frame.head["kind"] != "log" and calls is None:
                raise FrameError("a call before the first run")
            if calls is not None:
                calls.take(frame)
            # Many frames may be at hand: others get their turn between two of them.
            await self._clock.sleep(0)

    async def _death(self) -> str:
        """How it has ended; it is ended where only its channel has."""
        code = await self._ended()
        if self._is_killed:
            return "its channel to the app was broken, and it was ended"
        if code >= 0:
            return f"it has ended with exit code {code}"
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        memory = ", as the system does where memory runs out" if name == "SIGKILL" else ""
        return f"it was ended by {name}{memory}"

    async def _ended(self) -> int:
        """Its exit code, once it is gone with its group; it is killed where it does not go."""

        def wait() -> None:
            if not hasattr(os, "waitid"):  # macOS, on older versions of Python
                self._popen.wait()
                return
            with suppress(ChildProcessError):
                os.waitid(os.P_PID, self._popen.pid, os.WEXITED | os.WNOWAIT)

        end = asyncio.create_task(asyncio.to_thread(wait), name="end of a process")
        if not await ends_within(end, _GOES_WITHIN, self._clock):
            self.kill()
            await end
        # Not reaped yet, so its number is nobody else's.
        self._kill_group()
        return self._popen.wait()

    def _kill_group(self) -> None:
        if self._popen.returncode is None:
            with suppress(OSError):
                os.killpg(self._popen.pid, signal.SIGKILL)


def _popen(channel: socket.socket) -> "subprocess.Popen[bytes]":
    """Modules of ours are found in the folder that it starts in; the first frame says what comes after that."""
    line = [sys.executable, "-X", "faulthandler", "-m", _MAIN, str(channel.fileno()), str(os.getpid())]
    return subprocess.Popen(  # noqa: S603 - it is this program
        line,
        cwd=_ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=(channel.fileno(),),
        start_new_session=True,
    )
