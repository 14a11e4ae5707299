"""`make test-all`: which Pythons it finds, what it runs on each, and what it says was left out."""

from pathlib import Path

import pytest

from tests.support import every_python
from tests.support.every_python import MEASURING, PLATFORM, find, plan

PIP = ("python", "-m", "pip")


@pytest.fixture
def pyenv(tmp_path: Path) -> Path:
    """One that has 3.12; on the path, its place-holders for 3.12 and 3.13 say that another version is chosen."""
    python(tmp_path / "versions" / "3.12.1" / "bin", "3.12")
    for version in ("3.12", "3.13"):
        python(tmp_path / "shims", version, code=127)
    return tmp_path


def python(folder: Path, version: str, *, code: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"python{version}").write_text(f"#!/bin/sh\nexit {code}\n")
    (folder / f"python{version}").chmod(0o755)


def test_finding(pyenv: Path, tmp_path: Path) -> None:
    """A python that runs is found, on the path first; one that does not run is none."""
    path = str(pyenv / "shims")
    assert find("3.12", path, pyenv) == pyenv / "versions" / "3.12.1" / "bin" / "python3.12"
    assert find("3.13", path, pyenv) is None
    assert find("3.14", path, pyenv) is None
    python(tmp_path / "bin", "3.12")
    assert find("3.12", f"{tmp_path / 'bin'}:{path}", pyenv) == tmp_path / "bin" / "python3.12"


def test_plan() -> None:
    """Each found one repeats the tests; from 3.13 on it indexes the app with the next Durable SDK."""
    found = {"3.11": Path("/a/python3.11"), "3.13": Path("/b/python3.13")}
    commands, left_out = plan(found, PIP)
    lines = [" ".join(command) for command in commands]
    dry_run = "python -m pip install --dry-run --target .build/none --only-binary=:all: -r requirements.txt"
    assert lines == [
        "/a/python3.11 tasks.py VENV=.venv-3.11 on-this-python",
        "/b/python3.13 tasks.py VENV=.venv-3.13 on-this-python",
        "/b/python3.13 tasks.py VENV=.venv-3.13 durable-2",
        f"{dry_run} --python-version 3.14",
        f"{dry_run} --platform manylinux_2_28_x86_64 --platform manylinux2014_x86_64",
    ]
    assert left_out == ["Python 3.12: not found", "Python 3.14: not found", MEASURING]


def test_the_documents_name_these_platforms() -> None:
    """What docs/packaging.md tells to install is what the last command of the plan resolves."""
    page = Path(__file__).parents[2] / "docs" / "packaging.md"
    assert " ".join(PLATFORM) in page.read_text()


def test_what_is_left_out() -> None:
    """Without 3.13 or newer, the next Durable SDK is left out, and that is said."""
    _, left_out = plan({"3.12": Path("/a")}, PIP)
    assert left_out[3:] == ["azure-functions-durable 2.x: it needs Python 3.13 or newer", MEASURING]


def test_what_is_left_out_is_said_where_something_fails(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The first failure ends the run; its end says all the same which Pythons were not there."""
    plans = ([["true"], ["sh", "-c", "exit 3"], ["echo", "not run"]], ["Python 3.14: not found"])
    monkeypatch.setattr(every_python, "find", lambda *_: None)
    monkeypatch.setattr(every_python, "plan", lambda *_: plans)
    assert every_python.main() == 3
    assert capfd.readouterr().out.splitlines() == ["== true", "== sh -c exit 3", "left out: Python 3.14: not found"]
