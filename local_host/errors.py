"""Errors of the local host.

HostError                    what a person at the terminal can put right; printed as one line
├── SettingsError            local.settings.json or host.json says something that cannot be followed
├── FunctionAppError         function_app.py does not index
│   └── RouteError           a route template the router of the Functions host would refuse
├── AppRefusedError          the app itself refuses to start: a declaration, a setting, or its store
├── ScheduleError            a timer schedule that is neither NCRONTAB nor a time span
├── PortInUseError           another process listens on the port
├── AzuriteError             Azurite is missing or does not start
├── EngineError              the engine that --engine names is missing, does not start, or is something else
└── PackageError             what is deployed cannot be put together
"""

import traceback
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


class HostError(Exception):
    """Something a person at the terminal can put right."""


class SettingsError(HostError):
    """local.settings.json or host.json says something that cannot be followed."""


class FunctionAppError(HostError):
    """function_app.py does not index."""


class RouteError(FunctionAppError):
    """A route template the router of the Functions host would refuse."""


class AppRefusedError(HostError):
    """The app itself refuses to start: a declaration, a setting, or its store."""


class ScheduleError(HostError):
    """A timer schedule that is neither NCRONTAB nor a time span."""


class PortInUseError(HostError):
    """Another process listens on the port."""

    def __init__(self, port: int) -> None:
        super().__init__(f"port {port} is in use: stop the other process, or choose another (--port or PORT; 0: any)")
        self.port = port


class AzuriteError(HostError):
    """Azurite is missing or does not start."""


class EngineError(HostError):
    """The engine that --engine names is missing, does not start, or is something else."""


class PackageError(HostError):
    """What is deployed cannot be put together: the files of the page at /docs, or the package."""


@contextmanager
def in_one_line() -> Generator[None]:
    """A declaration, setting or store that the app refuses becomes an AppRefusedError; other errors pass through."""
    try:
        yield
    except Exception as error:
        # Here, since it is a part of the app: it is imported by now, or there is nothing of it to recognize.
        from shared.errors import LroError  # noqa: PLC0415

        if not isinstance(error, LroError):
            raise
        raise AppRefusedError(" ".join(str(error).split())) from error


def why_not_imported(error: BaseException, app_root: Path) -> str:
    """One line for an error of the app's own code: the last place of it below `app_root`, the error, and advice."""
    places = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename:
        places.append((error.filename, error.lineno))
    root, name = app_root.resolve(), type(error).__name__
    ours = [(Path(file).resolve(), line) for file, line in places]
    where = next(
        (f"{file.relative_to(root)}, line {line}: " for file, line in reversed(ours) if _is_of(file, root)), ""
    )
    reason = error.msg if isinstance(error, SyntaxError) else " ".join(str(error).split())
    advice = "; add the package that has it to requirements.txt" if isinstance(error, ModuleNotFoundError) else ""
    return f"{where}{name}{f': {reason}' if reason else ''}{advice}"


def _is_of(file: Path, root: Path) -> bool:
    """Whether a file is the app's, and no installed package's."""
    return file.is_relative_to(root) and "site-packages" not in file.parts
