"""What the host prints: the list of functions, as `func start` prints it, and log lines."""

import logging
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress

from local_host.functions import AppFunction, Trigger

_QUIET = ("aiohttp", "azure", "asyncio", "urllib3")
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class WithFields(logging.Formatter):
    """The message, then those fields, logged as `extra`, that it does not say itself."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        if record.__dict__.keys() <= _STANDARD:
            return text
        line, newline, trace = text.partition("\n")
        all_fields = (f"{name}={value}" for name, value in record.__dict__.items() if name not in _STANDARD)
        said = set(re.split(r":? ", line))
        fields = [field for field in all_fields if field not in said]
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


def print_functions(url: str, functions: Sequence[AppFunction], templates: Mapping[str, str], *, engine: str) -> None:
    """Header, HTTP functions with their URLs, then the others with their trigger type."""
    say(f"\nlocal_host: the function app, {engine}, no Core Tools\n\nFunctions:\n")
    for function in functions:
        if function.trigger is Trigger.HTTP:
            methods = ",".join(sorted(function.methods))
            say(f"\t{function.name}: {f'[{methods}] ' if methods else ''}{url}/{templates[function.name].strip('/')}")
    say("")
    for function in functions:
        if function.trigger is not Trigger.HTTP:
            say(f"\t{function.name}: {function.trigger}")


def print_ready(url: str, seconds: float, *, page: str | None) -> None:
    """The last line of a start. `url` is where routes begin; `page` is the route of what a person can try them on."""
    say(f"\nReady on {url} after {seconds:.2f} s. Ctrl-C stops." + (f" Try it on {url}{page}" if page else ""))
