"""`make durable-host`: a program from the archive, or one line that says why there is none."""

import os
import stat
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.engine.support import engine_program

ROOT = Path(__file__).parents[2]


def make(archive: Path, program: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """The target with nothing installed for it, and the program somewhere else than a user has it."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("DURABLE_HOST", "MAKE"))}
    variables = (
        f"DURABLE_HOST_ARCHIVE={archive}",
        f"DURABLE_HOST_PROGRAM={program}",
        f"PYTHON={sys.executable}",
    )
    return subprocess.run(
        ["make", "--no-print-directory", "durable-host", *variables],
        cwd=ROOT,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def lines(done: "subprocess.CompletedProcess[str]") -> list[str]:
    """All that is printed but make's own line on a target that failed."""
    return [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith("make: ***")]


def packed(path: Path, files: Mapping[str, int]) -> Path:
    """An archive of empty files with these modes."""
    with tarfile.open(path, "w:xz") as archive:
        for name, mode in files.items():
            entry = tarfile.TarInfo(name)
            entry.mode = mode
            archive.addfile(entry)
    return path


def test_the_program_is_unpacked_once(tmp_path: Path) -> None:
    """It can be run; a second time there is nothing to do, though the archive is younger than what it was made of."""
    archive, program = (
        packed(tmp_path / "a.tar.xz", {"durable-host": 0o755, "x.dll": 0o644}),
        tmp_path / "to/durable-host",
    )
    assert (make(archive, program).returncode, program.stat().st_mode & stat.S_IXUSR) == (0, stat.S_IXUSR)
    (program.parent / "mine").touch()
    assert make(archive, program).returncode == 0
    assert {each.name for each in program.parent.iterdir()} == {"durable-host", "x.dll", "mine"}


@pytest.mark.parametrize("files", [{}, {"x.dll": 0o644}, {"durable-host": 0o644}, {"durable-host/x": 0o644}], ids=str)
@pytest.mark.parametrize("before", [False, True], ids=["first", "again"])
def test_an_archive_without_the_program(tmp_path: Path, files: Mapping[str, int], before: bool) -> None:
    """One line names the archive, make fails, and nothing is made or lost that a test would take for the program."""
    program = tmp_path / "to" / "durable-host"
    if before:
        program.parent.mkdir()
        program.write_text("the one before")
        os.utime(program, (0, 0))
    done = make(packed(tmp_path / "a.tar.xz", files), program)
    assert done.returncode != 0
    assert lines(done) == [f"durable-host: {tmp_path}/a.tar.xz is no archive with a program durable-host in it"]
    assert program.exists() == before
    assert not (tmp_path / "to.new").exists()


def test_a_file_that_is_no_archive(tmp_path: Path) -> None:
    """One line, and no traceback."""
    (tmp_path / "a.tar.xz").write_bytes(b"<html>not found</html>")
    done = make(tmp_path / "a.tar.xz", tmp_path / "to" / "durable-host")
    assert done.returncode != 0
    assert len(lines(done)) == 1


def test_no_archive(tmp_path: Path) -> None:
    """One line says what is left out; where the program is required, make fails."""
    said = [f"durable-host: there is no {tmp_path}/a.tar.xz: tests on the Durable extension are left out"]
    done = make(tmp_path / "a.tar.xz", tmp_path / "to" / "durable-host")
    assert (done.returncode, lines(done)) == (0, said)
    required = make(tmp_path / "a.tar.xz", tmp_path / "to" / "durable-host", DURABLE_HOST_REQUIRED="1")
    assert (required.returncode != 0, lines(required)) == (True, said)


def test_tests_that_do_not_find_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are skipped; where the program is required, they fail."""
    monkeypatch.setenv("DURABLE_HOST", str(tmp_path / "nowhere"))
    monkeypatch.delenv("DURABLE_HOST_REQUIRED", raising=False)
    with pytest.raises(pytest.skip.Exception, match="DURABLE_HOST names it"):
        engine_program()
    monkeypatch.setenv("DURABLE_HOST_REQUIRED", "1")
    with pytest.raises(pytest.fail.Exception, match="DURABLE_HOST names it"):
        engine_program()
