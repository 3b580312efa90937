"""A container's quota counts, in both generations of cgroups."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aiface_runtime.cpu_limits import cpu_quota, usable_cores


def test_v2_takes_the_tightest_quota_on_the_way_up(tmp_path: Path) -> None:
    (tmp_path / "pod" / "box").mkdir(parents=True)
    (tmp_path / "pod" / "cpu.max").write_text("150000 100000\n")
    (tmp_path / "pod" / "box" / "cpu.max").write_text("max 100000\n")
    (tmp_path / "self").write_text("0::/pod/box\n")
    assert cpu_quota(tmp_path, tmp_path / "self") == 1.5
    assert usable_cores(tmp_path, tmp_path / "self") == 1


def test_v1(tmp_path: Path) -> None:
    group = tmp_path / "cpu" / "box"
    group.mkdir(parents=True)
    (group / "cpu.cfs_quota_us").write_text("50000\n")
    (group / "cpu.cfs_period_us").write_text("100000\n")
    (tmp_path / "self").write_text("4:memory:/box\n3:cpu,cpuacct:/box\n")
    assert cpu_quota(tmp_path, tmp_path / "self") == 0.5
    assert usable_cores(tmp_path, tmp_path / "self") == 1


def test_no_quota(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("max 100000\n")
    (tmp_path / "self").write_text("0::/\n")
    assert cpu_quota(tmp_path, tmp_path / "self") is None
    assert cpu_quota(tmp_path, tmp_path / "missing") is None
    assert usable_cores(tmp_path, tmp_path / "missing") >= 1


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no CPU affinity on this system")
def test_affinity(tmp_path: Path) -> None:
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert usable_cores(tmp_path, tmp_path / "missing") == 1
    finally:
        os.sched_setaffinity(0, allowed)
