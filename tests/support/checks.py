"""Runs parts of the checks side by side, shows the output of each in one piece, and says how long each took.

    python -m tests.support.checks lint types "tests=python -m pytest tests" "alone=python -m pytest tests -m alone"

Each part is a name and its command. The first shows what it prints at once, the others when they have ended. A part
`name+` begins when the part before it has ended. A part `name?` begins only where one before it has failed, and counts
for those: tests that failed beside others have a second chance alone, and are named. The exit code is 0 where that of
every part is.
"""

import os
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
    is_second_chance: bool = False
    output: IO[bytes] = field(default_factory=tempfile.TemporaryFile)
    code: int | None = None
    seconds: float = 0
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def passed(self) -> bool:
        """Also where a part that follows another one had nothing to do (pytest: 5)."""
        has_nothing = self.after is not None and not self.is_second_chance and self.code == _NO_TESTS
        return self.code == 0 or has_nothing

    def run(self) -> None:
        began = time.monotonic()
        sink = None if self.shown else self.output
        for each in self.command.split("&&"):
            self.process = subprocess.Popen(shlex.split(each), stdout=sink, stderr=sink, env=environment())
            self.code = self.process.wait()
            if self.code:
                break
        self.seconds = time.monotonic() - began

    def show(self) -> None:
        self.output.seek(0)
        print(f"\n=== {self.name} ===", flush=True)
        sys.stdout.buffer.write(self.output.read())
        sys.stdout.flush()


def environment() -> dict[str, str]:
    """This process's, with compiled modules kept: hundreds of processes load the same ones."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def parts(arguments: Sequence[str]) -> list[Part]:
    found: list[Part] = []
    for argument in arguments:
        name, _, command = argument.partition("=")
        follows = name.endswith(("+", "?"))
        part = Part(name.rstrip("+?"), command, found[-1] if follows else None, shown=follows or not found)
        part.is_second_chance = name.endswith("?")
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


def follow(chain: Sequence[Part]) -> None:
    for part in chain:
        if not part.is_second_chance or failed_before(chain, part):
            part.run()


def failed_before(chain: Sequence[Part], part: Part) -> list[Part]:
    return [each for each in chain[: chain.index(part)] if not each.passed]


def has_passed(chain: Sequence[Part]) -> bool:
    """Whether every part has, or else its second chance."""
    failed = [part for part in chain if not part.passed and not part.is_second_chance]
    return not failed or (chain[-1].is_second_chance and chain[-1].passed)


def verdict(chain: Sequence[Part], part: Part) -> str:
    if part.code is None:
        return "not needed"
    if part.passed:
        return "passed: what failed beside others passes alone; mend it" if part.is_second_chance else "passed"
    return "FAILED" if not has_passed(chain) else "failed"


def main(arguments: Sequence[str]) -> int:
    began = time.monotonic()
    found = parts(arguments)
    together = chains(found)
    threads = [threading.Thread(target=follow, args=(chain,)) for chain in together]
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
    for chain in together:
        for part in chain:
            print(f"{part.name:<10} {part.seconds:7.1f} s  {verdict(chain, part)}")
    print(f"{'all':<10} {time.monotonic() - began:7.1f} s")
    for part in found:
        part.output.close()
    return 0 if all(map(has_passed, together)) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
