"""The process's end of the channel, while handlers run: calls to the app, its answers, and its word to stop."""

import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from itertools import count
from queue import SimpleQueue
from typing import Any

from shared.model.operation import Progress
from shared.operations.process_errors import error_of
from shared.operations.process_frames import Channel, Frame

_PACE = 0.1
"""Seconds between two reports of progress: the store takes one a second, and the event loop reads each."""


class Link:
    """Used by the handler's thread, and by others that it makes."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.jobs: SimpleQueue[Frame] = SimpleQueue()
        """What the app wants done."""
        self.run = ""
        """What is run now, or was last."""
        self.is_stopped = False
        """Whether the handler of that is to stop."""
        self._numbers = count(1)
        self._answers: dict[int, SimpleQueue[Frame]] = {}
        self._progress: tuple[str, Progress] | None = None
        self._news = threading.Event()
        self._reporting = threading.Lock()
        for work in (self._listen, self._report):
            threading.Thread(target=work, name="channel", daemon=True).start()

    def send(self, kind: str, content: bytes = b"", **values: Any) -> None:
        self._channel.send({"kind": kind, **values}, content)

    def call(self, called: str, content: bytes = b"", /, *, parts: list[bytes] | None = None, **values: Any) -> Frame:
        """The app's answer. `parts` takes those of a content that is sent in parts. Raises what the app has raised."""
        number, answers = self._open()
        try:
            self.send("call", content, call=called, id=number, **values)
            while (answer := answers.get()).head["kind"] == "part":
                if parts is not None:
                    parts.append(answer.content)
            return _checked(answer)
        finally:
            del self._answers[number]

    def send_parts(self, called: str, parts: Sequence[bytes], /, **values: Any) -> Frame:
        """The app's answer to a call whose content is sent in parts, each when the app asks for it."""
        number, answers = self._open()
        try:
            self.send("call", call=called, id=number, **values)
            left = iter(parts)
            while (answer := answers.get()).head["kind"] == "more":
                part = next(left, None)
                self.send("part", part or b"", id=number, is_last=part is None)
            return _checked(answer)
        finally:
            del self._answers[number]

    def report(self, run: str, progress: Progress) -> None:
        """Have the app know how far the work is, soon; the latest report counts."""
        self._progress = run, progress
        self._news.set()

    def send_progress(self) -> None:
        """Send what was reported last, if that was not sent."""
        with self._reporting:
            reported, self._progress = self._progress, None
            if reported is not None:
                run, progress = reported
                self.send("progress", run=run, progress=asdict(progress))

    def _open(self) -> tuple[int, SimpleQueue[Frame]]:
        number = next(self._numbers)
        answers = self._answers[number] = SimpleQueue()
        return number, answers

    def _listen(self) -> None:
        while (frame := self._channel.receive()) is not None:
            match frame.head["kind"]:
                case "run":
                    self.run, self.is_stopped = frame.head["run"], False
                    self.jobs.put(frame)
                case "saved":
                    self.jobs.put(frame)
                case "stop":
                    self.is_stopped = True
                case _:
                    if answers := self._answers.get(frame.head["id"]):
                        answers.put(frame)
        # The app is gone, or has no more use for this process.
        os._exit(0)

    def _report(self) -> None:
        pause = threading.Event()
        while True:
            self._news.wait()
            self._news.clear()
            with suppress(OSError):
                self.send_progress()
            pause.wait(_PACE)


class RunLink:
    """The link for one run. A thread that its handler has left behind has it as well: its calls are refused later."""

    def __init__(self, link: Link, run: str) -> None:
        self._link = link
        self._run = run

    @property
    def is_stopped(self) -> bool:
        return self._link.is_stopped or self._link.run != self._run

    def call(self, called: str, content: bytes = b"", /, *, parts: list[bytes] | None = None, **values: Any) -> Frame:
        """As `Link.call`. Raises ActionCanceled once the run is over."""
        return self._link.call(called, content, parts=parts, run=self._run, **values)

    def send_parts(self, called: str, parts: Sequence[bytes], /, **values: Any) -> Frame:
        """As `Link.send_parts`. Raises ActionCanceled once the run is over."""
        return self._link.send_parts(called, parts, run=self._run, **values)

    def report(self, progress: Progress) -> None:
        """As `Link.report`."""
        self._link.report(self._run, progress)


def _checked(answer: Frame) -> Frame:
    if (error := answer.head.get("error")) is not None:
        raise error_of(error)
    return answer
