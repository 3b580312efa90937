"""Scan folders of photos into a file of records, which a later run resumes, and a page that shows them.

```python
from aiface_runtime import Classifier
from aiface_runtime.scan import ScanOptions, scan

summary = scan(Classifier(), ["photos"], "answers.jsonl", ScanOptions(resume=True))
print(summary.verdicts, summary.failures)
```
"""

from __future__ import annotations

from .options import ScanOptions, ScanSummary, Tally
from .run import check, scan

__all__ = ["ScanOptions", "ScanSummary", "Tally", "check", "scan"]
