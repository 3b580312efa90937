"""What a file itself says of its picture: Content Credentials, metadata, traces of generators; without the network.

```python
from aiface_runtime import provenance

print(provenance.read("avatar.png"))
```
"""

from __future__ import annotations

from .reading import read
from .results import Claim, Credentials, CredentialState, Finding, Provenance, ProvenanceRecord

__all__ = ["Claim", "CredentialState", "Credentials", "Finding", "Provenance", "ProvenanceRecord", "read"]
