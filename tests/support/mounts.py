"""Disks of a test's own: root passes all permissions, so a folder that cannot be written has to be a disk."""

import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted(folder: Path, *options: str) -> Generator[None]:
    """A new, empty disk in memory at `folder`, e.g. with `size=1m`; the test is skipped where nobody may mount one."""
    if not sys.platform.startswith("linux"):
        pytest.skip("disks in memory are mounted on Linux only")
    folder.mkdir(parents=True, exist_ok=True)
    line = ["mount", "-t", "tmpfs", "-o", ",".join(("nosuid", *options)), "tmpfs", str(folder)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def make_read_only(folder: Path) -> None:
    """From now on nothing is written to the disk that is mounted there."""
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
