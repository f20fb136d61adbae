"""Peak memory of this process over a stretch of work. Not here: memory of other machines (hardware estimates)."""

import resource
from pathlib import Path


def reset_peak() -> None:
    """Begin a new stretch, where the kernel can: on Linux."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass  # not Linux, or not allowed: the peak is then the process's own


def peak() -> int:
    """Peak resident bytes since :func:`reset_peak`."""
    try:
        for line in Path("/proc/self/status").read_text().split("\n"):
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
