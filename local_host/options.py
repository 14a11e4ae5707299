"""What to run, once everything that says so has been read."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from local_host.settings_file import Cors


class Stop(StrEnum):
    """What a signal does to work that is under way."""

    DRAIN = "drain"
    """The app is told: attempts are given back, requests get their time."""
    KILL = "kill"
    """Nobody is told, as where an instance is taken away."""


@dataclass(frozen=True)
class Options:
    """What to run, settled from flags, environment and local.settings.json."""

    app_root: Path
    port: int
    store: str
    data_dir: Path
    cors: Cors
    ready_file: Path | None
    started: float
    """When the command was given, by the clock's `monotonic`."""
    stop_within: float = 4.5
    """Seconds that all steps of a stop may take together; then the process ends as it is."""
    loop: str = "asyncio"
    """The event loop: asyncio's own, or `uvloop`, which the platform's newer Python workers use."""
    engine: Path | str | None = None
    """The engine's program, or the URL of one that runs; None for the engine in memory."""
    stop: Stop = Stop.DRAIN
    processes: int = 1
    """How many processes serve the app behind one port."""
    behind: str | None = None
    """The URL that callers use, where this process is one of several behind it."""
    local_settings: bool = True
    """Whether local.settings.json is read."""
