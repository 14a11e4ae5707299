"""What the host prints: the list of functions, as `func start` prints it, and log lines."""

import logging
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress

from local_host.functions import AppFunction, Trigger

_QUIET = ("aiohttp", "azure", "durabletask", "asyncio", "grpc", "urllib3")
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class WithFields(logging.Formatter):
    """The message, then what was logged as `extra`: that is where the app says which operation it speaks of."""

    def format(self, record: logging.LogRecord) -> str:
        fields = [f"{name}={value}" for name, value in record.__dict__.items() if name not in _STANDARD]
        line, newline, trace = super().format(record).partition("\n")
        return f"{line} [{' '.join(fields)}]{newline}{trace}" if fields else line + newline + trace


def configure_logging() -> None:
    """INFO and above on stderr, one line each; the libraries' own only from WARNING up."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(WithFields("[%(asctime)s] %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def say(line: str) -> None:
    """Print a line. That nobody reads any more, as behind `| head`, does not stop the host."""
    with suppress(OSError):
        print(line, flush=True)


def print_functions(url: str, functions: Sequence[AppFunction], templates: Mapping[str, str]) -> None:
    """Header, HTTP functions with their URLs, then the others with their trigger type."""
    say("\nlocal_host: the function app, its own Durable Functions engine, no Core Tools\n\nFunctions:\n")
    for function in functions:
        if function.trigger is Trigger.HTTP:
            methods = ",".join(sorted(function.methods))
            say(f"\t{function.name}: {f'[{methods}] ' if methods else ''}{url}/{templates[function.name].strip('/')}")
    say("")
    for function in functions:
        if function.trigger is not Trigger.HTTP:
            say(f"\t{function.name}: {function.trigger}")


def print_ready(url: str, seconds: float, *, page: str | None) -> None:
    """The last line of a start; `page` is the path of what a person can try the functions on."""
    say(f"\nReady on {url} after {seconds:.2f} s. Ctrl-C stops." + (f" Try it on {url}{page}" if page else ""))
