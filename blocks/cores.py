"""Processor cores that this process really has, and threads that soon sleep while they wait for each other.

OpenMP's threads spin at barriers by default. Beside one other busy process on two cores that took pretraining from 5.5
to 0.4 steps a second; threads that sleep lose little there (tests/benchmarks/LOG.md). torch and llama.cpp read the
environment once, when they are loaded, so it is set before. Not here: how many threads a step takes (its settings, at
most these).
"""

import math
import os
from functools import cache
from pathlib import Path

# Some ten microseconds: as fast alone as spinning without end, where sleeping at once cost a fifth; beside another busy
# process nearly as good as sleeping at once (tests/benchmarks/LOG.md, 2026-11-30).
SPINS = "1000"
_CGROUPS = Path("/sys/fs/cgroup")


def share_cores() -> None:
    """Let torch's and llama.cpp's threads soon sleep while they wait, and be no more than the cores that are there.
    Call it before either is imported. What is in the environment already wins, and children inherit it."""
    for name, value in (
        ("OMP_WAIT_POLICY", "PASSIVE"),
        ("GOMP_SPINCOUNT", SPINS),
        ("OMP_NUM_THREADS", str(cores())),
    ):
        os.environ.setdefault(name, value)


def at_most(wanted: int) -> int:
    """``wanted`` threads, or as many as there are cores."""
    return max(1, min(wanted, cores()))


@cache
def cores() -> int:
    """Cores this process may use at a time: by its affinity, and by the quota of its control group, rounded up."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = min(_quotas(Path("/proc/self/cgroup"), _CGROUPS), default=math.inf)
    return max(1, min(allowed, math.ceil(min(quota, allowed))))


def _quotas(of_process: Path, groups: Path) -> list[float]:
    """The quotas, in cores, of a process's control group and of those above it (cgroup v2, or v1's cpu controller)."""
    found = []
    for line in _text(of_process).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "" or "cpu" in controllers.split(","):
            root = groups if controllers == "" else groups / "cpu"
            inner = root / path.lstrip("/")
            for folder in (inner, *inner.parents):
                if folder.is_relative_to(root):
                    found += _quota(folder)
    return found


def _quota(group: Path) -> list[float]:
    limit, _, period = _text(group / "cpu.max").strip().partition(" ")
    if not period:
        limit, period = _text(group / "cpu.cfs_quota_us").strip(), _text(group / "cpu.cfs_period_us").strip()
    return [int(limit) / int(period)] if limit.isdecimal() and period.isdecimal() and int(limit) and int(period) else []


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
