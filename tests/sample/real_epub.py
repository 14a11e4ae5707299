"""A real book: the EPUB edition of the Debian Policy Manual, from Debian's package archive.

Fetched once with apt-get and kept under .build/real-epub/. Where there is no apt-get, or no network, the test is
skipped; on CI (environment variable CI) it fails, so that it cannot be skipped there for ever.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

_PACKAGE = "debian-policy"
_INSIDE = Path("usr/share/doc/debian-policy/policy.epub")
_CACHE = Path(__file__).resolve().parents[2] / ".build" / "real-epub"
_SECONDS = 120


def debian_policy_epub() -> Path:
    """Path of the cached EPUB (some 400 KB). Skips the calling test if it cannot be had; fails it on CI."""
    cached = _CACHE / "debian-policy.epub"
    if cached.exists():
        return cached
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        _unavailable("this machine has no apt-get and dpkg")
    _CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        try:
            _run("apt-get", "download", _PACKAGE, folder=folder)
            _run("dpkg", "-x", *(path.name for path in Path(folder).glob("*.deb")), "out", folder=folder)
        except (subprocess.SubprocessError, OSError) as error:
            _unavailable(f"apt-get download {_PACKAGE} failed (apt-get update?): {error}")
        # Into place in one step, so that a second test process never sees half a file.
        part = _CACHE / f"debian-policy.{os.getpid()}.part"
        shutil.copyfile(Path(folder) / "out" / _INSIDE, part)
        part.replace(cached)
    return cached


def _run(*command: str, folder: str) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=_SECONDS)


def _unavailable(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(f"the real EPUB is required on CI: {reason}")
    pytest.skip(reason)
