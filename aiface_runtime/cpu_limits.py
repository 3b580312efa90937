"""How many cores this process may really use."""

from __future__ import annotations

import math
import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def usable_cores(cgroup_root: Path = _CGROUP, membership: Path = Path("/proc/self/cgroup")) -> int:
    """Count cores by CPU affinity, capped by the container's quota; onnxruntime's own default knows neither.

    Args:
        cgroup_root: Mount point of cgroup v2, or of the v1 `cpu` controller.
        membership: The kernel's list of this process's groups.

    Returns:
        At least 1.
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota(cgroup_root, membership)
    return affinity if quota is None else max(1, min(affinity, math.floor(quota)))


def cpu_quota(cgroup_root: Path = _CGROUP, membership: Path = Path("/proc/self/cgroup")) -> float | None:
    """Find the tightest CPU quota, in cores, of this process's cgroup and those above it; None where there is none."""
    quotas = []
    for folder in _groups(cgroup_root, membership):
        try:
            if (limit := folder / "cpu.max").is_file():
                quota, period = limit.read_text().split()
            else:
                quota = (folder / "cpu.cfs_quota_us").read_text().strip()
                period = (folder / "cpu.cfs_period_us").read_text().strip()
            if quota not in ("max", "-1"):
                quotas.append(int(quota) / int(period))
        except (OSError, ValueError, ZeroDivisionError):  # not mounted, or not readable in this sandbox: no limit seen
            continue
    return min(quotas, default=None)


def _groups(cgroup_root: Path, membership: Path) -> list[Path]:
    """List the folders of this process's CPU groups and their parents: v2 (`0::/a/b`) and v1 (`4:cpu,cpuacct:/a/b`)."""
    try:
        lines = membership.read_text().splitlines()
    except OSError:  # not Linux
        return []
    folders = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = cgroup_root / "cpu" if controllers else cgroup_root
        group = top / path.lstrip("/")
        folders += [folder for folder in (group, *group.parents) if folder.is_relative_to(top)]
    return folders
