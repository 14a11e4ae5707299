"""`tasks.py`, which make calls, and which is there where no make is."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from local_host.tasks import Installed, TaskError, Tasks

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "scaffold" / "template" / "framework"
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}


def printed(*line: str, cwd: Path = ROOT, code: int = 0) -> str:
    done = subprocess.run(line, cwd=cwd, env=CLEAN, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def tasks(*arguments: str, code: int = 0) -> str:
    return printed(sys.executable, "tasks.py", *arguments, code=code)


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_make_and_tasks_are_one() -> None:
    """Each target of make is a task with the same parameters, and make's list is that of the tasks."""
    assert printed("make", "help") == tasks("help")
    names = tasks("--names").split()
    targets = re.search(r"^\.PHONY: (.*)$", printed("make", "-pn", "help"), re.MULTILINE)
    assert targets is not None
    assert sorted(targets[1].split()) == names
    flags = ("NO_INSTALL=1", "WORKERS=3")
    assert printed("make", "PYTHON=" + sys.executable + " -B", "-n", "check", *flags).endswith("tasks.py check\n")
    assert "-n 3 " in tasks("--dry-run", "check", *flags)


def test_every_file_lists_its_tasks() -> None:
    """Each task in the list has a line of help, and names what it takes; hidden ones are for other tasks."""
    listed = dict(line.split(maxsplit=1) for line in tasks().splitlines())
    assert set(tasks("--names").split()) - set(listed) == {"on-this-python", "durable-2"}
    assert "PORT" in listed["run"]
    assert "RELOAD=1" in listed["run"]


def test_an_unknown_task() -> None:
    """It exits 2 and says how the command is used."""
    assert "no task 'frobnicate'" in tasks("frobnicate", code=2)


def test_the_first_request_is_shown_where_its_port_is_known() -> None:
    """PORT=0 is any free port, which only the ready line names."""
    assert "http://127.0.0.1:8080/book/" in tasks("--dry-run", "run", "PORT=8080")
    assert "/book/" not in tasks("--dry-run", "run", "PORT=0")


def test_a_parameter_that_is_almost_one() -> None:
    """A slip in a parameter's name starts nothing, by make and without it; names of other programs pass."""
    for slip, meant in (("PROT=8080", "PORT"), ("port=8080", "PORT"), ("DATADIR=x", "DATA_DIR")):
        assert f"did you mean {meant}=" in tasks("--dry-run", "run", slip, code=2)
        if shutil.which("make"):
            line = ("make", f"PYTHON={sys.executable}", "on-this-python", slip)
            said = printed(*line, code=2)
            assert f"did you mean {meant}=" in said
            assert "is needed" not in said
    tasks("--dry-run", "lint", "INTERLEAVINGS=3", "KILL_ROUNDS=2", "NO_INSTALL=1")


def test_an_old_python_is_told_so() -> None:
    """Whatever Python there is reads the file as far as the line that says which is needed."""
    for path in (ROOT / "tasks.py", TEMPLATE / "tasks.py"):
        text = path.read_text(encoding="utf-8")
        head = text[: text.index("from local_host")]
        code = f"import sys; sys.version_info = (3, 9)\n{head}"
        assert "3.11 or newer is needed" in printed(sys.executable, "-c", code, code=1)


def recorded(windows: bool, **given: str) -> tuple[Tasks, Installed]:
    defaults = {"VENV": ".venv", "PORT": "7071"}
    made = Tasks(ROOT, defaults, windows=windows, environment=given)
    made.dry_run = True
    return made, Installed(made)


@pytest.mark.parametrize(
    ("windows", "python"), [(False, ".venv-none/bin/python"), (True, ".venv-none/Scripts/python.exe")]
)
def test_both_layouts(windows: bool, python: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An environment on Windows has its programs elsewhere; what is installed, and in which order, is the same."""
    made, installed = recorded(windows, VENV=".venv-none")
    assert (made.python, made["PORT"]) == (python, "7071")
    installed.dev()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("-m venv .venv-none")
    assert lines[1:] == [
        "Installing into .venv-none, once ...",
        f"{python} -m pip --disable-pip-version-check --quiet install -c constraints.txt -r requirements-local.txt "
        + ("-e ./lro_client[aio,identity]" if windows else "-e './lro_client[aio,identity]'"),
        f"{python} -m pip --disable-pip-version-check --quiet install -c constraints.txt -r requirements-dev.txt",
    ]


@pytest.mark.parametrize("path", [ROOT, TEMPLATE], ids=["repository", "app"])
def test_the_commands_on_windows(path: Path) -> None:
    """Both files of tasks take the programs of a Windows environment, by paths that no shell takes apart."""
    file = path / "tasks.py"
    code = (
        "import runpy, sys\n"
        "from local_host.tasks import Tasks\n"
        "Tasks.__init__.__kwdefaults__['windows'] = True\n"
        "sys.argv = ['tasks.py', '--dry-run', 'check', 'VENV=.venv', 'NO_INSTALL=1', 'DOCS_PAGE=tasks.py']\n"
        f"runpy.run_path({str(file)!r}, run_name='__main__')"
    )
    environment = {**CLEAN, "PYTHONPATH": str(ROOT)}
    line = [sys.executable, "-c", code]
    done = subprocess.run(line, cwd=path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert ".venv/Scripts/ruff.exe check ." in done.stdout
    assert ".venv/Scripts/pyright.exe" in done.stdout
    assert "bin/" not in done.stdout


def test_a_task_is_done_once() -> None:
    """However many tasks need it; what is given on the line wins over the environment, and that over the default."""
    made, done = Tasks(ROOT, {"NAME": "default", "OTHER": "default"}, environment={"OTHER": "set"}), []

    @made.task("First")
    def first() -> None:
        done.append(made["NAME"] + made["OTHER"])

    @made.task("Second")
    def second_one() -> None:
        first()
        first()

    assert made.main(["second-one", "first", "NAME=given"]) == 0
    assert done == ["givenset"]


def test_what_fails_is_the_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    """A command that fails ends the task with its code, and the tasks behind it are not begun."""
    made, done = Tasks(ROOT, {"VENV": sys.prefix}), []

    @made.task("Fails")
    def fails() -> None:
        made.run(sys.executable, "-c", "raise SystemExit(7)")

    @made.task("Next")
    def after() -> None:
        done.append("after")

    assert (made.main(["fails", "after"]), done) == (7, [])
    assert "has ended with 7" in capsys.readouterr().err
    with pytest.raises(TaskError):
        made.run(sys.executable, "-c", "raise SystemExit(7)", shown=False)


def test_freshness(tmp_path: Path) -> None:
    """What is older than what it is made of is made again."""
    made = Tasks(tmp_path, {})
    (tmp_path / "source").touch()
    assert made.is_stale("target", ["source"])
    made.touch("target")
    os.utime(tmp_path / "source", (0, 0))
    assert not made.is_stale("target", ["source"])
    os.utime(tmp_path / "target", (0, 0))
    os.utime(tmp_path / "source", (1, 1))
    assert made.is_stale("target", ["source"])


def test_cleaning(tmp_path: Path) -> None:
    """Files and folders go by pattern; others stay."""
    made = Tasks(tmp_path, {})
    (tmp_path / ".build" / "x").mkdir(parents=True)
    for name in (".coverage", ".coverage.1", "kept"):
        (tmp_path / name).touch()
    made.remove(".build", ".coverage*")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
