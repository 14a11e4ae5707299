"""What to run, once everything that says so has been read."""

from dataclasses import dataclass
from pathlib import Path

from local_host.settings_file import Cors


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
