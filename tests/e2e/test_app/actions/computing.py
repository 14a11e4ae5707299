"""Actions whose handlers compute, in processes of their own."""

import os
from pathlib import Path

from shared.actions import Model, Retry, SyncActionContext, action


class Computation(Model):
    id: str
    folder: str
    """Where it writes which process it is, and finds the file `go` once it is to end."""


@action(
    "trial:compute",
    post="trial/{id}:compute",
    isolation="process",
    timeout="9m",
    grace="1s",
    retry=Retry(max_attempts=2, delay="100ms"),
)
def compute(context: SyncActionContext, request: Computation) -> int:
    """Compute until somebody says that it is enough; it heeds nothing else."""
    folder = Path(request.folder)
    (folder / f"{request.id}-{context.attempt}").write_text(str(os.getpid()), encoding="ascii")
    rounds = 0
    while not (folder / "go").exists():
        rounds += sum(range(100_000)) > 0
    return rounds
