"""Say what works on this machine: versions, devices, threads."""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path
from typing import Any

from ._common import REPORT_FORMATS, add_format_argument

_CPU_FLAGS = (
    *("avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "amx_bf16"),
    *("asimd", "asimddp", "i8mm", "bf16", "sve"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_format_argument(parser, REPORT_FORMATS)


def run(args: argparse.Namespace) -> int:
    """Print the report; 3 when not even the CPU answers."""
    report = _report()
    if args.format == "json":
        print(json.dumps(report, indent=2))
    else:
        for section, facts in report.items():
            print(f"{section}:")
            for name, fact in facts.items():
                print(f"  {name}: {', '.join(fact) if isinstance(fact, list) else fact}")
    return 0 if report["devices"].get("cpu", "").startswith("answers") else 3


def _report() -> dict[str, dict[str, Any]]:
    return {
        "versions": _versions(),
        "onnxruntime": _onnxruntime(),
        "devices": _devices(),
        "cpu": {"machine": platform.machine(), "flags": _cpu_flags()},
        "threads": _threads(),
    }


def _versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    versions = {"python": platform.python_version(), "platform": platform.platform()}
    for package in ("aiface", "numpy", "pillow"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return versions


def _onnxruntime() -> dict[str, Any]:
    """Which distributions own the module: with two of them one has overwritten the other's files."""
    from importlib.metadata import packages_distributions

    from ..devices import import_onnxruntime
    from ..errors import BackendNotInstalledError

    owners = sorted(set(packages_distributions().get("onnxruntime", [])))
    facts: dict[str, Any] = {"distributions": owners or ["none"]}
    if len(owners) > 1:
        facts["problem"] = f"they overwrite each other; pip uninstall {' '.join(owners)}, then install one"
    try:
        ort = import_onnxruntime()
    except BackendNotInstalledError as error:
        return facts | {"problem": str(error)}
    return facts | {"version": ort.__version__, "providers": list(ort.get_available_providers())}


def _devices() -> dict[str, str]:
    """Each device by running the bundled model on it, for what is listed is not what runs."""
    import numpy as np

    from ..catalog import resolve
    from ..devices import PROVIDERS
    from ..engine import Engine
    from ..errors import AifaceError, DeviceUnavailableError

    found = {}
    for device in PROVIDERS:
        try:
            start = time.perf_counter()
            engine = Engine(resolve(None), device)
            opened = time.perf_counter()
            engine.run(np.zeros((1, engine.manifest.height, engine.manifest.width, 3), np.uint8))
            done = time.perf_counter()
        except DeviceUnavailableError as error:
            found[device] = f"no: {error.reason}"
        except AifaceError as error:
            found[device] = f"no: {error}"
        else:
            found[device] = (
                f"answers (opened in {1000 * (opened - start):.0f} ms, first run {1000 * (done - opened):.0f} ms)"
            )
    return found


def _cpu_flags() -> list[str]:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return ["not known on this system"]
    flags = {
        flag for line in text.splitlines() if line.lower().startswith(("flags", "features")) for flag in line.split()
    }
    return [flag for flag in _CPU_FLAGS if flag in flags]


def _threads() -> dict[str, Any]:
    import os

    from ..cpu_limits import cpu_quota, usable_cores

    quota = cpu_quota()
    return {
        "cores of the machine": os.cpu_count(),
        "container quota": "none" if quota is None else f"{quota:g} cores",
        "chosen": usable_cores(),
    }
