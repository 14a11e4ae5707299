"""How many processors this process may use: what its affinity and the quota of its control group leave of the machine.

Sources: `sched_getaffinity(2)`; the kernel's "Control Group v2", `cpu.max`, and "CFS Bandwidth Control" for version 1.
"""

import os
from contextlib import suppress
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")


def usable_cores(cgroups: Path = _CGROUPS) -> int:
    """Whole ones, at least 1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(cgroups)
    return max(1, cores if quota is None else min(cores, int(quota)))


def _quota(cgroups: Path) -> float | None:
    """Processors' worth of time that the group has; None without a limit."""
    places = (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"))
    for names in places:
        with suppress(OSError, ValueError, ZeroDivisionError):
            words = " ".join((cgroups / name).read_text(encoding="ascii") for name in names).split()
            quota, period = (float(word) for word in words)
            return quota / period if quota > 0 else None
    return None
