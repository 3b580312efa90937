"""Everything that can go wrong, as one tree.

```
AifaceError
├── InputError (ValueError)                 the photo cannot be used
│   ├── ImageNotFoundError (FileNotFoundError)
│   ├── ImageReadError (OSError)            the bytes could not be had: a folder, no permission, an I/O error
│   ├── ImageDecodeError                    the bytes are not a whole picture
│   ├── ImageTooLargeError                  more bytes, pixels or memory than `Limits` allow
│   ├── ImageShapeError                     a strip, far too long for its width
│   ├── ImageMemoryError (MemoryError)      no memory left to decode it; the photo itself may be whole
│   ├── ImageTimeoutError (TimeoutError)    its decoder, in a process of its own, took too long
│   └── ImageTypeError (TypeError)          not something that a picture can be read from
├── ModelError                              the model cannot be used
│   ├── ModelNotFoundError (FileNotFoundError)
│   ├── ModelCorruptError (ValueError)      not the file that the catalogue describes, or not a model at all
│   ├── ManifestError (ValueError)          the file lacks a manifest, or its graph contradicts it
│   ├── ModelClosedError (RuntimeError)     used after close()
│   └── NoEvidenceError (NotImplementedError)   it answers, but cannot say where its answer comes from
├── BackendNotInstalledError (ImportError)  no onnxruntime
├── DeviceUnavailableError (RuntimeError)   the device that was asked for cannot be had
├── InferenceError (RuntimeError)           the device failed while the model ran
├── OutputError (OSError)                   a result cannot be written
└── UsageError (ValueError)                 an argument that makes no sense
```

Each leaf is also the builtin that a caller would expect, and carries a stable `code` for records and logs.
Messages name the input and the remedy.
"""

from __future__ import annotations

from typing import Any, ClassVar


class AifaceError(Exception):
    """Base of every error that this library raises on purpose."""

    code: ClassVar[str] = "error"

    _arguments: tuple[object, ...] | None = None  # of a class that makes its message itself

    def __reduce__(self) -> tuple[Any, ...]:
        # By default an exception's message would become the argument of a class that makes its own.
        return type(self), self.args if self._arguments is None else self._arguments


class InputError(AifaceError, ValueError):
    """The photo cannot be used; another photo can."""

    code = "input"


class ImageNotFoundError(InputError, FileNotFoundError):
    """There is no such file."""

    code = "not_found"

    def __init__(self, name: str) -> None:
        super().__init__(f"{name}: no such file; check the path")
        self._arguments = (name,)


class ImageReadError(InputError, OSError):
    """The bytes could not be read."""

    code = "unreadable"


class ImageDecodeError(InputError):
    """The bytes are not a whole picture of a known format."""

    code = "not_an_image"


class ImageTooLargeError(InputError):
    """Reading or decoding it would cost more than `Limits` allow."""

    code = "too_large"


class ImageShapeError(InputError):
    """One side is far too long for the other."""

    code = "bad_shape"


class ImageMemoryError(InputError, MemoryError):
    """There was no memory to decode the photo, which says nothing of the photo."""

    code = "out_of_memory"

    def __init__(self, name: str) -> None:
        super().__init__(f"{name}: there is no memory left to decode it; decode fewer photos at once, or lower Limits")
        self._arguments = (name,)


class ImageTimeoutError(InputError, TimeoutError):
    """The process that decodes the photo took too long."""

    code = "timeout"

    def __init__(self, name: str, seconds: float) -> None:
        super().__init__(f"{name}: was not decoded within {seconds:g} s; save it again, or raise Limits(seconds=…)")
        self._arguments = (name, seconds)


class ImageTypeError(InputError, TypeError):
    """The argument is not a path, bytes, a binary file, a PIL image or a uint8 RGB array."""

    code = "wrong_type"


class ModelError(AifaceError):
    """The model cannot be used."""

    code = "model"


class ModelNotFoundError(ModelError, FileNotFoundError):
    """Neither a file nor the name of a bundled or installed model."""

    code = "model_not_found"


class ModelCorruptError(ModelError, ValueError):
    """The file is not the one that the catalogue describes, or no ONNX model at all."""

    code = "model_corrupt"


class ManifestError(ModelError, ValueError):
    """The model file carries no manifest, or one that contradicts the graph."""

    code = "manifest"


class ModelClosedError(ModelError, RuntimeError):
    """The classifier was used after `close()`."""

    code = "model_closed"


class NoEvidenceError(ModelError, NotImplementedError):
    """The model has no evidence map."""

    code = "no_evidence"

    def __init__(self, model: str) -> None:
        super().__init__(
            f"{model}: has no evidence map, so it cannot explain its answers; networks that end in an average over the "
            "photo and one linear layer have one when exported by this version's aiface-export"
        )
        self._arguments = (model,)


class BackendNotInstalledError(AifaceError, ImportError):
    """onnxruntime is missing."""

    code = "no_backend"

    def __init__(self, cause: ImportError) -> None:
        super().__init__(
            f"onnxruntime cannot be imported ({cause}); install one of: "
            'pip install "aiface[cpu]"   or   pip install "aiface[gpu]" (NVIDIA); never both, they overwrite each other'
        )
        self._arguments = (cause,)


class DeviceUnavailableError(AifaceError, RuntimeError):
    """The device that was asked for by name cannot be had.

    Attributes:
        device: Name of the device, or of the onnxruntime provider.
        reason: Reason why the device cannot be had, without the remedy.
    """

    code = "device_unavailable"

    def __init__(self, device: str, reason: str) -> None:
        super().__init__(
            f"device {device!r} cannot be had: {reason}; run 'aiface doctor' to see what works here, "
            "or use device='auto'"
        )
        self.device, self.reason = self._arguments = device, reason


class InferenceError(AifaceError, RuntimeError):
    """The device failed while the model ran."""

    code = "inference"


class OutputError(AifaceError, OSError):
    """A result cannot be written."""

    code = "output"


class UsageError(AifaceError, ValueError):
    """An argument that makes no sense, whatever the photo."""

    code = "usage"
