"""The page that `aiface demo` opens: photos in, verdicts and what they come from out. It needs the extra `demo`.

```python
from aiface_runtime.demo import build, launch_options

build().launch(**launch_options())
```
"""

from __future__ import annotations

from .page import build, launch_options

__all__ = ["build", "launch_options"]
