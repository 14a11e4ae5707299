"""Whether a process is still there."""

from pathlib import Path


def is_alive(pid: int) -> bool:
    """Whether it runs; one that has ended and was not asked how does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
