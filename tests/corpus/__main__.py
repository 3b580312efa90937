"""`python -m tests.corpus [NAME…]`: what each hostile file costs at the default limits, as a table."""

from __future__ import annotations

import sys

from tests.corpus.bombs import BOMBS
from tests.corpus.measure import cost_of

sys.stdout.write("| file | bytes | outcome | CPU s | MB at most |\n|---|---|---|---|---|\n")
for name in sys.argv[1:] or BOMBS:
    data = BOMBS[name]()
    cost = cost_of(data)
    row = (name, f"{len(data):,}", cost.outcome, f"{cost.cpu_seconds:.2f}", f"{cost.peak_mb:.0f}")
    sys.stdout.write(f"| {' | '.join(row)} |\n")
