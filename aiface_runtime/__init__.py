"""Tell a real face photo from an AI-generated one, in milliseconds, without PyTorch.

```python
from aiface_runtime import Classifier

prediction = Classifier().predict("avatar.jpg")
print(prediction.verdict, prediction.p_ai)
```

Importing the package loads neither numpy, Pillow nor onnxruntime; the first use of a name does.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ._version import __version__

if TYPE_CHECKING:
    from .classifier import Classifier
    from .errors import AifaceError
    from .limits import Limits
    from .prediction import Failure, PhotoWarning, Prediction, Verdict

__all__ = ["AifaceError", "Classifier", "Failure", "Limits", "PhotoWarning", "Prediction", "Verdict", "__version__"]

_HOMES = {
    "AifaceError": "errors",
    "Classifier": "classifier",
    "Failure": "prediction",
    "Limits": "limits",
    "PhotoWarning": "prediction",
    "Prediction": "prediction",
    "Verdict": "prediction",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
