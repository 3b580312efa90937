"""Answer for photos on many machines, by Ray Data.

```python
from aiface_runtime.ray import classify

classify("s3://bucket/photos", checkpoint="s3://bucket/answers.checkpoint").write_parquet("s3://bucket/answers")
```

The package imports Ray where it is used; a module of its own called `ray` does not stand in the way of the real one,
for imports are absolute.
"""

from __future__ import annotations

from .dataset import classify

__all__ = ["classify"]
