"""Opening a model in onnxruntime: on the device that was asked for, with the inputs and outputs that it must have."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from .devices import PROVIDERS, QUIET, Candidate, import_onnxruntime
from .errors import DeviceUnavailableError, ManifestError, ModelCorruptError
from .manifest import IMAGE, Manifest
from .model_file import ModelFile
from .plugins import add_plugins, is_plugin, runs_a_part

_BROKEN_FILE = ("InvalidProtobuf", "InvalidGraph", "NoSuchFile", "NoModel")  # onnxruntime's names for them
_MAX_REASON = 300  # characters of an onnxruntime message that are quoted


class Tensor(NamedTuple):
    """An input or output of an open graph.

    Attributes:
        name: Name by which it is asked for.
        type: Type as onnxruntime names it, `tensor(float)` for instance.
        shape: Sizes for one photo, without the first axis.
    """

    name: str
    type: str
    shape: tuple[int, ...]


def open_session(model: ModelFile, candidate: Candidate, threads: int) -> Any:
    """Open, and require the first provider: onnxruntime would otherwise fall back to the CPU silently.

    Raises:
        DeviceUnavailableError: The device cannot be had.
        ModelCorruptError: onnxruntime does not read the file.
    """
    if candidate.problem is not None:
        raise DeviceUnavailableError(candidate.device, candidate.problem)
    ort = import_onnxruntime()
    options, providers = _options(threads), candidate.providers
    # OpenVINO has threads of its own, one for each core of the machine unless the number is set.
    settings = {PROVIDERS["openvino"]: {"num_of_threads": str(threads)}}
    available = ort.get_available_providers()  # of others onnxruntime warns; the first was looked for
    named = [(name, settings.get(name, {})) for name in providers if name in available]
    try:
        if plugged := is_plugin(ort, providers[0]):
            named = add_plugins(options, ort, providers, settings)
        # Without enable_fallback=0 a failing provider prints to stdout and becomes the CPU.
        session = ort.InferenceSession(model.data, options, providers=named, enable_fallback=0)
    except Exception as error:  # onnxruntime's exceptions derive from Exception only
        if candidate.device == "cpu" or type(error).__name__ in _BROKEN_FILE:
            raise ModelCorruptError(f"{model.name}: onnxruntime cannot open it ({first_line(error)})") from error
        raise DeviceUnavailableError(candidate.device, first_line(error)) from error
    if session.get_providers()[0] != providers[0]:
        raise DeviceUnavailableError(candidate.device, "its libraries could not be loaded")
    if plugged and not runs_a_part(session, providers[0]):
        raise DeviceUnavailableError(candidate.device, "it takes no operation of this model's graph")
    return session


def _options(threads: int) -> Any:
    options = import_onnxruntime().SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = QUIET
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def check_signature(session: Any, manifest: Manifest, name: str) -> None:
    """Hold inputs and outputs of an open graph to the manifest, and let it take batches of any size.

    Raises:
        ManifestError: They are not what the manifest says.
    """
    shape = [manifest.height, manifest.width, 3]
    if _signature(session.get_inputs()) != {IMAGE: ("tensor(uint8)", shape)}:
        raise ManifestError(f"{name}: its graph does not take uint8 {['N', *shape]} as its manifest says")
    outputs = _signature(session.get_outputs())
    for output, cells in manifest.output_shapes.items():
        if outputs.get(output) != ("tensor(float)", list(cells)):
            raise ManifestError(f"{name}: its graph does not return {output}, float32 {['N', *cells]}")


def tensors_of(values: Iterable[Any]) -> list[Tensor]:
    """Describe inputs or outputs of an open graph."""
    return [Tensor(value.name, value.type, tuple(value.shape[1:])) for value in values]


def _signature(values: Iterable[Any]) -> dict[str, tuple[str, list[Any]]]:
    """Describe inputs or outputs of a graph by name: their type and, where any number of photos fits, one's shape."""
    return {value.name: (value.type, value.shape[1:] if _any_number(value.shape) else value.shape) for value in values}


def _any_number(shape: list[Any]) -> bool:
    return bool(shape) and not isinstance(shape[0], int)


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, or its name."""
    return str(error).strip().splitlines()[0][:_MAX_REASON] if str(error).strip() else type(error).__name__
