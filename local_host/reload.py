"""`--reload`: the host as a process of its own, which is started again where a source file of the app changes."""

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType

from local_host.child import dies_with_parent
from local_host.errors import HostError

NOT_OF_THE_APP = frozenset({"tests", "docs", "node_modules", "__pycache__"})
"""Folders of an app that nothing it runs is in."""
SETTINGS = ("host.json", "local.settings.json")
_LOOK_EVERY = 0.5  # seconds
_TOGETHER = 200
"""Milliseconds: what an editor or git writes at once is one change."""


def is_source(path: Path, root: Path) -> bool:
    """Whether a change of this file may change what the host serves."""
    if path.parent == root:
        return path.suffix == ".py" or path.name in SETTINGS
    folders = path.relative_to(root).parts[:-1]
    return path.suffix == ".py" and not any(part in NOT_OF_THE_APP or part.startswith(".") for part in folders)


def source_folders(root: Path) -> list[Path]:
    """The folders that are watched whole: neither environments nor data, which have too many files to watch."""
    return sorted(
        path for path in root.iterdir() if path.is_dir() and path.name not in NOT_OF_THE_APP and path.name[0] != "."
    )


def supervise(root: Path, arguments: Sequence[str]) -> int:
    """Run the host with these arguments, and again after each change, until a signal; returns its last exit code.

    A host that ends by itself, because the app cannot be imported, is started again by the next change.

    Raises HostError where the package `watchfiles` is missing.
    """
    events: queue.Queue[Path | int] = queue.Queue()
    over = threading.Event()
    _watch(root, events, over)
    before = {number: signal.signal(number, _into(events)) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        return _run([sys.executable, "-m", "local_host", *arguments], root, events)
    finally:
        over.set()
        for number, handler in before.items():
            signal.signal(number, handler)


def _run(line: Sequence[str], root: Path, events: "queue.Queue[Path | int]") -> int:
    host = _started(line)
    was_told = False
    while True:
        try:
            event = events.get(timeout=_LOOK_EVERY)
        except queue.Empty:
            if host.poll() is not None and not was_told:
                print(
                    f"Reload: the host has ended with {host.returncode}; it is started by the next change", flush=True
                )
                was_told = True
            continue
        if isinstance(event, int):
            return _stopped(host, events, event)
        print(f"Reload: {event.relative_to(root).as_posix()} has changed", flush=True)
        while not events.empty():
            if isinstance(more := events.get(), int):
                return _stopped(host, events, more)
        _stopped(host, events, signal.SIGTERM)
        host, was_told = _started(line), False


def _started(line: Sequence[str]) -> "subprocess.Popen[bytes]":
    # In a session of its own: Ctrl-C reaches this process, which says how to stop.
    return subprocess.Popen(  # noqa: S603 - this program again, no shell
        line,
        preexec_fn=None if os.name == "nt" else dies_with_parent(signal.SIGTERM),  # noqa: PLW1509 - one prepared system call
        start_new_session=True,
    )


def _stopped(host: "subprocess.Popen[bytes]", events: "queue.Queue[Path | int]", number: int) -> int:
    """Stop the host by this signal, and by every other one that comes meanwhile; returns its exit code."""
    if host.poll() is None:
        host.send_signal(number)
    while True:
        try:
            return host.wait(timeout=0.05)
        except subprocess.TimeoutExpired:
            for event in _waiting(events):
                if isinstance(event, int):
                    host.send_signal(event)


def _waiting(events: "queue.Queue[Path | int]") -> Iterator[Path | int]:
    while not events.empty():
        yield events.get()


def _into(events: "queue.Queue[Path | int]") -> Callable[[int, FrameType | None], None]:
    def handler(number: int, frame: FrameType | None) -> None:
        events.put(number)

    return handler


def _watch(root: Path, events: "queue.Queue[Path | int]", over: threading.Event) -> None:
    """Put each changed source into `events`, from threads of their own until `over` is set."""
    try:
        from watchfiles import watch  # noqa: PLC0415 - for this alone
    except ImportError:
        raise HostError("--reload needs the package watchfiles: pip install -r requirements-local.txt") from None

    def look(folders: Sequence[Path], *, recursive: bool) -> None:
        for found in watch(*folders, recursive=recursive, stop_event=over, debounce=_TOGETHER, raise_interrupt=False):
            for path in sorted(Path(name) for _, name in found):
                if is_source(path, root):
                    events.put(path)
                    break

    for folders, recursive in (([root], False), (source_folders(root), True)):
        if folders:
            threading.Thread(target=look, args=(folders,), kwargs={"recursive": recursive}, daemon=True).start()
