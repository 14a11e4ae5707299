"""Runs parts of the checks side by side, shows the output of each in one piece, and says how long each took.

    python -m tests.support.checks lint types "tests=python -m pytest tests" "alone=python -m pytest tests -m alone"

Each part is a name and its command. The first shows what it prints at once, the others when they have ended. A part
`name+` begins when the part before it has ended. The exit code is 0 where that of every part is.
"""

import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import IO

_NO_TESTS = 5


@dataclass
class Part:
    """Commands of one name, one after the other until one fails. `code` is None while it runs."""

    name: str
    command: str
    after: "Part | None"
    shown: bool
    output: IO[bytes] = field(default_factory=tempfile.TemporaryFile)
    code: int | None = None
    seconds: float = 0
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def passed(self) -> bool:
        """Also where a part that follows another one had nothing to do (pytest: 5)."""
        return self.code == 0 or (self.after is not None and self.code == _NO_TESTS)

    def run(self) -> None:
        began = time.monotonic()
        sink = None if self.shown else self.output
        for each in self.command.split("&&"):
            self.process = subprocess.Popen(shlex.split(each), stdout=sink, stderr=sink)
            self.code = self.process.wait()
            if self.code:
                break
        self.seconds = time.monotonic() - began

    def show(self) -> None:
        self.output.seek(0)
        print(f"\n=== {self.name} ===", flush=True)
        sys.stdout.buffer.write(self.output.read())
        sys.stdout.flush()


def parts(arguments: Sequence[str]) -> list[Part]:
    found: list[Part] = []
    for argument in arguments:
        name, _, command = argument.partition("=")
        follows = name.endswith("+")
        part = Part(name.rstrip("+"), command, found[-1] if follows else None, shown=follows or not found)
        found.append(part)
    return found


def chains(found: Sequence[Part]) -> list[list[Part]]:
    """Parts that go on one after the other; the chains go on side by side."""
    together: list[list[Part]] = []
    for part in found:
        if part.after is None:
            together.append([])
        together[-1].append(part)
    return together


def main(arguments: Sequence[str]) -> int:
    began = time.monotonic()
    found = parts(arguments)

    def follow(chain: list[Part]) -> None:
        for part in chain:
            part.run()

    threads = [threading.Thread(target=follow, args=(chain,)) for chain in chains(found)]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except KeyboardInterrupt:
        # The parts are in the foreground as well and have heard of it; whoever has not is told.
        for part in found:
            if part.process and part.process.poll() is None:
                part.process.send_signal(signal.SIGTERM)
        return 130
    for part in found:
        if not part.shown:
            part.show()
    print("\n=== durations ===")
    for part in found:
        print(f"{part.name:<10} {part.seconds:7.1f} s  {'passed' if part.passed else 'FAILED'}")
    print(f"{'all':<10} {time.monotonic() - began:7.1f} s")
    return 0 if all(part.passed for part in found) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
