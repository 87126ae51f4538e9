"""The cores and the memory that this process may use: those of its container, not of the machine around it."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

import psutil

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")
UNLIMITED = 1 << 60  # bytes; version 1 writes a number above it where there is no limit


def usable_cores() -> int:
    """Count the cores that this process may use, at least 1: its affinity, and the CPU quota of its container.

    A quota of two and a half cores counts as three.
    """
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS and Windows
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, min([cores, *(math.ceil(quota) for quota in _quotas())]))


def usable_memory() -> int:
    """Count the bytes of memory that are still free for this process: in its container, and on the machine."""
    return max(0, min([psutil.virtual_memory().available, *_free_below_limits()]))


def _quotas() -> Iterator[float]:
    """Give the CPU quotas of this process's control groups, in cores."""
    for folder in _folders("cpu"):
        quota, period = (*_words(folder / "cpu.max"), "", "")[:2]
        if not quota:
            quota, period = (_text(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
        if quota.isdecimal() and period.isdecimal():
            yield int(quota) / int(period)


def _free_below_limits() -> Iterator[int]:
    """Give the memory left below the limits of its control groups; cached file pages count as free."""
    for folder in _folders("memory"):
        for limit, used, droppable in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            most, now = _text(folder / limit), _text(folder / used)
            if most.isdecimal() and now.isdecimal() and int(most) < UNLIMITED:
                words = _words(folder / "memory.stat")
                cached = dict(zip(words[::2], words[1::2], strict=False)).get(droppable, "0")
                yield int(most) - int(now) + int(cached)


def _folders(controller: str) -> Iterator[Path]:
    """Give the folders of this process's control groups, of version 2 and 1, each with those above it.

    In a container the path may be that of the machine, which does not exist here; the topmost folder always counts.
    """
    for line in _text(OWN_CGROUPS).splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers or controller in controllers.split(","):
            root = CGROUPS / controller if controllers else CGROUPS
            folder = root / path.strip("/")
            yield from (above for above in (folder, *folder.parents) if above == root or root in above.parents)


def _words(path: Path) -> list[str]:
    return _text(path).split()


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
