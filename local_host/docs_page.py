"""`python -m local_host.docs_page`: fetch the files of the page at /docs, and put them where the app finds them.

pip downloads the wheel that `requirements-docs-page.txt` names and compares its hash; nothing is installed. Each file
is compared again, here and whenever this is called: what is as it should be is not fetched. A newer wheel changes that
file and FILES together. docs/decisions/0010-page-of-the-description.md says why it is this package.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path

from local_host.errors import HostError, PackageError
from shared.endpoints.docs_files import UI_FOLDER

FILES = {
    "LICENSE": "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30",
    "favicon-32x32.png": "3ed612f41e050ca5e7000cad6f1cbe7e7da39f65fca99c02e99e6591056e5837",
    "swagger-ui-bundle.js": "050bc415ee7048dcd881682678f720264e7da5e373f7461d7c58c755305255f7",
    "swagger-ui.css": "1ac324f7dcd27e4b9386b4bd6421271ec147e922a22c05ba24b11515e9aa6321",
}
"""The SHA-256 of each."""

NOTICE = """swagger-ui
Copyright 2020-2021 SmartBear Software Inc.

These are unchanged files of the npm package swagger-ui-dist, under the Apache License 2.0: see LICENSE. The licences of
the libraries inside swagger-ui-bundle.js are in the file swagger-ui-bundle.js.LICENSE.txt of that package.
"""
"""Apache License 2.0, 4(d). The first two lines are the NOTICE of swagger-ui-dist, which the wheel leaves out."""

REQUIREMENTS = Path(__file__).parents[1] / "requirements-docs-page.txt"
_IN_WHEEL = "drf_spectacular_sidecar/static/drf_spectacular_sidecar/swagger-ui-dist/"


def fetch(folder: Path, requirements: Path, environment: Mapping[str, str]) -> bool:
    """Fill `folder`, unless it is as it should be; returns whether it was filled.

    It is replaced as a whole, at the end. `environment` is pip's. Raises PackageError.
    """
    if all(_digest(folder / name) == value for name, value in FILES.items()) and (folder / "NOTICE").is_file():
        return False
    with tempfile.TemporaryDirectory() as scratch:
        wheel = _download(requirements, Path(scratch), environment)
        contents = {name: _checked(wheel, name) for name in FILES}
    new = folder.with_name(f"{folder.name}.new")
    try:
        for each in (new, folder):
            shutil.rmtree(each, ignore_errors=True)
        new.mkdir(parents=True)
        for name, content in {**contents, "NOTICE": NOTICE.encode()}.items():
            (new / name).write_bytes(content)
        new.rename(folder)
    except OSError as error:
        raise PackageError(f"{folder} cannot be written: {error.strerror or error}") from error
    return True


def _download(requirements: Path, target: Path, environment: Mapping[str, str]) -> Path:
    """The wheel, with the hash that is asked for."""
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:", "--require-hashes"]
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(target), "-r", str(requirements)]
    done = subprocess.run(  # noqa: S603 (pip with a fixed command line, no shell)
        command, env=dict(environment), capture_output=True, text=True, check=False
    )
    wheel = next(target.glob("*.whl"), None)
    if done.returncode or wheel is None:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        problem = " ".join([line for line in said if line.startswith("ERROR:")] or said[-1:])
        raise PackageError(f"pip does not bring what {requirements.name} names, for the page at /docs: {problem}")
    return wheel


def _checked(wheel: Path, name: str) -> bytes:
    try:
        with zipfile.ZipFile(wheel) as archive:
            content = archive.read(f"{_IN_WHEEL}{name}")
    except (KeyError, zipfile.BadZipFile) as error:
        raise PackageError(f"{wheel.name} has no {name}: local_host/docs_page.py has to name its files") from error
    if sha256(content).hexdigest() != FILES[name]:
        found = sha256(content).hexdigest()
        raise PackageError(f"{name} of {wheel.name} is not the pinned one: its SHA-256 is {found}, not {FILES[name]}")
    return content


def _digest(path: Path) -> str | None:
    return sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def main(arguments: Sequence[str] | None = None) -> int:
    """Fetch them; returns the exit code: 0, or 1 for an error."""
    argparse.ArgumentParser(prog="python -m local_host.docs_page", description=__doc__).parse_args(arguments)
    try:
        if fetch(UI_FOLDER, REQUIREMENTS, os.environ):
            print(f"The files of the page at /docs are in {UI_FOLDER}")
    except HostError as error:
        print(f"docs_page: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
