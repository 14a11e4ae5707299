"""`make test-all`: unit, contract and client tests on every supported Python that is found here, and what goes with it.

What is not found is left out, and named at the end. It runs tasks.py by each, so that an environment is made once.
"""

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

VERSIONS = ("3.11", "3.12", "3.13", "3.14")
NEWEST = VERSIONS[-1]
DURABLE_2_NEEDS = (3, 13)

PLATFORM = ("--platform", "manylinux_2_28_x86_64", "--platform", "manylinux2014_x86_64")
"""What runs on each of the platform's images, as docs/packaging.md names it."""

MEASURING = "tests marked `alone`: they measure the machine, and `make test` runs them"


def find(version: str, path: str, pyenv: Path) -> Path | None:
    """The first python of that version that runs: on `path`, or among those that pyenv has in `pyenv`."""
    folders = [*(Path(folder) for folder in path.split(os.pathsep) if folder), *pyenv.glob(f"versions/{version}.*/bin")]
    return next((file for folder in folders if _runs(file := folder / f"python{version}")), None)


def _runs(python: Path) -> bool:
    """Another version's place in pyenv is a file, too, that only says where it is."""
    if not os.access(python, os.X_OK):
        return False
    return subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0


def plan(found: Mapping[str, Path], pip: tuple[str, ...]) -> tuple[list[list[str]], list[str]]:
    """Command lines to run, and what is left out, as one line each."""
    commands: list[list[str]] = []
    for version, python in found.items():
        on = [str(python), "tasks.py", f"VENV=.venv-{version}"]
        commands.append([*on, "on-this-python"])
        if _is_new_enough(version):
            commands.append([*on, "durable-2"])
    install = (*pip, "install", "--dry-run", "--target", ".build/none", "--only-binary=:all:", "-r", "requirements.txt")
    commands.append([*install, "--python-version", NEWEST])
    commands.append([*install, *PLATFORM])
    left_out = [f"Python {version}: not found" for version in VERSIONS if version not in found]
    if not any(map(_is_new_enough, found)):
        left_out.append("azure-functions-durable 2.x: it needs Python 3.13 or newer")
    left_out.append(MEASURING)
    return commands, left_out


def _is_new_enough(version: str) -> bool:
    return tuple(map(int, version.split("."))) >= DURABLE_2_NEEDS


def main() -> int:
    """Run all; the first that fails ends it. Then say what was left out."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    pythons = {version: find(version, os.environ["PATH"], pyenv) for version in VERSIONS}
    found = {version: python for version, python in pythons.items() if python is not None}
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    commands, left_out = plan(found, pip)
    code = run(commands)
    for each in left_out:
        print("left out:", each)
    return code


def run(commands: Iterable[Sequence[str]]) -> int:
    """The exit code of the first command that fails, which is the last one run; else 0."""
    for command in commands:
        print("==", *command, flush=True)
        if code := subprocess.run(command, check=False).returncode:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
