"""Say what works on this machine: versions, devices, threads, formats, limits."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from ._common import REPORT_FORMATS, add_format_argument

if TYPE_CHECKING:
    from ..plugins import Plugin

Fact: TypeAlias = str | int | list[str] | None
Facts: TypeAlias = dict[str, Fact]

_ANSWERS = "answers"  # start of the line about a device on which the model runs
_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "PNM")
_CPU_FLAGS = (
    *("avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "amx_bf16"),
    *("asimd", "asimddp", "i8mm", "bf16", "sve"),
)

_TELEMETRY = "ORT_DISABLE_TELEMETRY"
_TOO_LATE = f"may be on: onnxruntime was imported before aiface; set {_TELEMETRY}=1 in the environment"

SUMMARY = "Say what works on this machine: versions, devices, threads, formats, limits"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_format_argument(parser, REPORT_FORMATS)


def run(args: argparse.Namespace) -> int:
    """Print the report; 3 when not even the CPU answers."""
    is_off = "onnxruntime" not in sys.modules or os.environ.get(_TELEMETRY) == "1"  # before aiface sets it
    report = _report()
    report["onnxruntime"]["telemetry"] = "off" if is_off else _TOO_LATE
    if args.format == "json":
        print(json.dumps(report, indent=2))
    else:
        for section, facts in report.items():
            print(f"{section}:")
            for name, fact in facts.items():
                print(f"  {name}: {', '.join(fact) if isinstance(fact, list) else fact}")
    return 0 if str(report["devices"]["cpu"]).startswith(_ANSWERS) else 3


def _report() -> dict[str, Facts]:
    return {
        "versions": _versions(),
        "models": _models(),
        "onnxruntime": _onnxruntime(),
        "devices": _devices(),
        "cpu": {"machine": platform.machine(), "flags": _cpu_flags()},
        "threads": _threads(),
        "photos": _photos(),
    }


def _versions() -> Facts:
    from importlib.metadata import PackageNotFoundError, version

    versions: Facts = {"python": platform.python_version(), "platform": platform.platform()}
    for package in ("aiface", "numpy", "pillow"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return versions


def _models() -> Facts:
    """Say of each model that is found by name whether its file is the published one."""
    from ..catalog import entries, installed, resolve
    from ..errors import ModelCorruptError

    facts: Facts = {}
    for name in (*(entry.name for entry in entries()), *installed()):
        try:
            facts[name] = str(resolve(name))
        except ModelCorruptError as error:
            facts[name] = f"no: {error}"
    return facts


def _onnxruntime() -> Facts:
    """Say which distributions own the module: with two of them one has overwritten the other's files."""
    from importlib.metadata import packages_distributions

    from ..devices import import_onnxruntime
    from ..errors import BackendNotInstalledError
    from ..plugins import installed_plugins

    owners = sorted(set(packages_distributions().get("onnxruntime", [])))
    facts: Facts = {"distributions": owners or ["none"]}
    if len(owners) > 1:
        facts["problem"] = f"they overwrite each other; pip uninstall {' '.join(owners)}, then install one"
    try:
        ort = import_onnxruntime()
    except BackendNotInstalledError as error:
        return facts | {"problem": str(error)}
    facts |= {"version": ort.__version__, "providers": list(ort.get_available_providers())}
    return facts | {"plug-ins": [_plugin(plugin) for plugin in installed_plugins()] or ["none"]}


def _plugin(plugin: Plugin) -> str:
    return plugin.problem or f"{plugin.module} ({', '.join(plugin.providers)})"


def _devices() -> Facts:
    """Try each device, for what is listed is not what runs."""
    from ..devices import PROVIDERS, device_name
    from ..errors import AifaceError, DeviceUnavailableError
    from ..plugins import installed_plugins

    named = [provider for plugin in installed_plugins() for provider in plugin.providers]
    facts: Facts = {}
    for provider in dict.fromkeys([*PROVIDERS.values(), *named]):
        device = device_name(provider)
        try:
            facts[device] = _try_provider(provider)
        except DeviceUnavailableError as error:
            facts[device] = f"no: {error.reason}"
        except AifaceError as error:
            facts[device] = f"no: {error}"
    return facts


def _try_provider(provider: str) -> str:
    """Run the bundled model on an onnxruntime provider's device.

    Raises:
        AifaceError: The model does not run there.
    """
    import numpy as np

    from ..catalog import load
    from ..devices import PROVIDERS, device_name
    from ..engine import Engine

    start = time.perf_counter()
    device = device_name(provider)
    named = None if device in PROVIDERS else [provider]
    engine = Engine(load(None), "auto" if named else device, named)
    opened = time.perf_counter()
    engine.run(np.zeros((1, engine.manifest.height, engine.manifest.width, 3), np.uint8))
    done = time.perf_counter()
    return f"{_ANSWERS} (opened in {1000 * (opened - start):.0f} ms, first run {1000 * (done - opened):.0f} ms)"


def _photos() -> Facts:
    """Say which formats are decoded here, and the most that one photo may take."""
    from importlib.util import find_spec

    from PIL import features

    from ..limits import DEFAULT_LIMITS

    optional = {"WebP": "webp", "AVIF": "avif", "JPEG 2000": "jpg_2000"}  # parts of Pillow that a build may lack
    formats = [*_FORMATS, *(name for name, part in optional.items() if features.check(part))]
    heic = "HEIC" if find_spec("pillow_heif") else 'no HEIC: pip install "aiface[heic]"'
    limits = {name: f"{getattr(DEFAULT_LIMITS, name):,}" for name in DEFAULT_LIMITS.__slots__}
    return {"formats": [*formats, heic], **limits}


def _cpu_flags() -> list[str]:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return ["not known on this system"]
    flags = {
        flag for line in text.splitlines() if line.lower().startswith(("flags", "features")) for flag in line.split()
    }
    return [flag for flag in _CPU_FLAGS if flag in flags]


def _threads() -> Facts:
    from ..cpu_limits import cpu_quota, usable_cores

    quota = cpu_quota()
    return {
        "cores of the machine": os.cpu_count(),
        "container quota": "none" if quota is None else f"{quota:g} cores",
        "chosen": usable_cores(),
    }
