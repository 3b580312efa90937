"""The page that `aiface demo` opens: photos in, verdicts and what they come from out. It needs the extra `demo`.

```python
from aiface_runtime.demo import build, launch_options

page = build()
if __name__ == "__main__":
    page.launch(**launch_options())
```

Importing the package does not load Gradio; the first use of a name does.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ..errors import UsageError

if TYPE_CHECKING:
    from .page import build, launch_options

__all__ = ["build", "launch_options"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        page = import_module(".page", __name__)
    except ImportError as error:  # Gradio, or what the templates need
        raise UsageError(f'the page needs Gradio 6 ({error}); install it: pip install "aiface[demo]"') from error
    return getattr(page, name)
