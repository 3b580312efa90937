"""Execution providers that come as packages of their own, whose library onnxruntime loads while it runs: plug-ins.

The package of a plug-in says by `get_library_path()` where its library lies and by `get_ep_names()` what it brings, as
those of Microsoft, Intel and NVIDIA do. No package is imported, and no folder searched, unless a provider is asked for
by name that this onnxruntime was not built with. What the program itself has registered comes first.
"""

from __future__ import annotations

import importlib
import pkgutil
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

PACKAGES = {
    "WebGpuExecutionProvider": "onnxruntime-ep-webgpu",
    "OpenVINOExecutionProvider": "onnxruntime-ep-openvino",
}
"""Distribution to install for a provider."""

_PREFIX = "onnxruntime_ep_"  # of their modules
_NEEDS = {
    "WebGpuExecutionProvider": "a GPU's driver, and on Linux the Vulkan loader, libvulkan1",
    "OpenVINOExecutionProvider": "a processor or a GPU of Intel's",
}
_LOCK = threading.Lock()


@dataclass(frozen=True, slots=True)
class Plugin:
    """A plug-in that is installed.

    Attributes:
        module: Name of its module.
        providers: Names of the execution providers that it brings; none where it cannot be imported.
        library: Path of its library; None where it cannot be imported.
        problem: Reason why it cannot be used; None when none is known.
    """

    module: str
    providers: tuple[str, ...] = ()
    library: str | None = None
    problem: str | None = None


def installed_plugins() -> list[Plugin]:
    """Find the plug-ins that are installed, and import their modules, which load no library."""
    names = {module.name for module in pkgutil.iter_modules() if module.name.startswith(_PREFIX)}
    return [_read(name) for name in sorted(names)]


def _read(name: str) -> Plugin:
    try:
        module = importlib.import_module(name)
        return Plugin(name, tuple(module.get_ep_names()), str(module.get_library_path()))
    except Exception as error:  # noqa: BLE001 whatever code of others raises
        return Plugin(name, problem=f"{name} cannot be used ({type(error).__name__}: {error})")


def plugin_device(ort: Any, provider: str) -> Any:
    """Return a device of a provider that is a plug-in, whose library is loaded when it is first asked for.

    Args:
        ort: The module onnxruntime.
        provider: Name of the execution provider.

    Returns:
        The first `OrtEpDevice` that it names.

    Raises:
        LookupError: There is none; the message is the reason.
    """
    if not hasattr(ort, "register_execution_provider_library"):
        update = f", and {ort.__version__} takes no plug-ins: update it" if provider in PACKAGES else ""
        raise LookupError(f"this onnxruntime has no {provider}{update}")
    with _LOCK:  # a library is registered once in a process
        devices = _devices(ort, provider)
        if not devices:
            _register(ort, provider)
            devices = _devices(ort, provider)
    if not devices:
        needs = f"; it needs {_NEEDS[provider]}" if provider in _NEEDS else ""
        raise LookupError(f"the plug-in finds no device for {provider} here{needs}")
    return devices[0]


def is_plugin(ort: Any, provider: str) -> bool:
    """Say whether a library that was registered brings a provider; onnxruntime lists it as available from then on."""
    if provider == "CPUExecutionProvider" or not hasattr(ort, "get_ep_devices"):
        return False
    return provider in _registered or any("library_path" in device.ep_metadata for device in _devices(ort, provider))


def _devices(ort: Any, provider: str) -> list[Any]:
    return [device for device in ort.get_ep_devices() if device.ep_name == provider]


_registered: set[str] = set()


def _register(ort: Any, provider: str) -> None:
    plugins = installed_plugins()
    plugin = next((plugin for plugin in plugins if provider in plugin.providers), None)
    if plugin is None:
        broken = "".join(f"; {plugin.problem}" for plugin in plugins if plugin.problem)
        wanted = f", and no plug-in brings it: pip install {PACKAGES[provider]}" if provider in PACKAGES else ""
        raise LookupError(f"this onnxruntime has no {provider}{wanted}{broken}")
    if provider in _registered:
        return
    try:
        ort.register_execution_provider_library(provider, plugin.library)
    except Exception as error:  # onnxruntime's exceptions derive from Exception only
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise LookupError(f"the library of {plugin.module} cannot be loaded: {reason[0][:300]}") from error
    _registered.add(provider)


def add_plugins(
    options: Any, ort: Any, providers: Sequence[str], settings: Mapping[str, dict[str, str]]
) -> list[tuple[str, dict[str, str]]]:
    """Name providers in a session's options, the first a plug-in; the CPU always comes last by itself.

    Args:
        options: The `SessionOptions`.
        ort: The module onnxruntime.
        providers: Names in order of preference; those that cannot be had are left out.
        settings: Options by provider.

    Returns:
        Providers to name beside the options: none, for onnxruntime takes one or the other.
    """
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    for name in providers:
        if name == "CPUExecutionProvider":
            break
        if plugin_problem(ort, name) is None:
            options.add_provider_for_devices([plugin_device(ort, name)], settings.get(name, {}))
        elif name in ort.get_available_providers():
            options.add_provider(name, settings.get(name, {}))
    return []


def plugin_problem(ort: Any, provider: str) -> str | None:
    """Say why a provider cannot be had as a plug-in; None where it can."""
    try:
        plugin_device(ort, provider)
    except LookupError as error:
        return str(error)
    return None


def runs_a_part(session: Any, provider: str) -> bool:
    """Say whether a plug-in runs any operation of an open graph; it is the first in `get_providers()` in any case."""
    if not hasattr(session, "get_provider_graph_assignment_info"):  # before onnxruntime 1.24
        return True
    return any(part.ep_name == provider for part in session.get_provider_graph_assignment_info())
