"""`python -m tests.fuzz`: try mutated inputs, by several processes, and log what became of them.

`make fuzz` tries 1,000,000. The log has a line of JSON for each block of inputs; a run that was ended goes on behind
the blocks that it has. The exit code is 1 when there is a finding. `--input N` tries one again and saves it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

BLOCK = 5_000


def main() -> int:
    """Run, and print a table of outcomes by format, and the findings."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Try mutated inputs.")
    parser.add_argument("--inputs", type=int, default=20_000, metavar="N", help="how many in all (default: 20,000)")
    parser.add_argument("--processes", type=int, default=1, metavar="N", help="how many at once (default: 1)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="another seed gives other inputs (default: 1)")
    parser.add_argument("--log", type=Path, metavar="FILE", help="where each block is noted, and a run goes on from")
    parser.add_argument("--input", type=int, metavar="N", help="try this one alone, and save it as fuzz-N")
    args = parser.parse_args()
    if args.input is not None:
        return _again(args.input, args.seed)
    blocks = _logged(args.log, args.seed)
    waiting = [first for first in range(0, args.inputs, BLOCK) if first not in blocks]
    with ThreadPoolExecutor(args.processes) as pool:
        for block in pool.map(lambda first: _block(args.seed, first, min(first + BLOCK, args.inputs)), waiting):
            blocks[block["first"]] = block
            if args.log:
                with args.log.open("a") as log:
                    log.write(json.dumps(block) + "\n")
            sys.stderr.write(f"{sum(b['inputs'] for b in blocks.values()):,} inputs\n")
    return _report(list(blocks.values()))


def _again(number: int, seed: int) -> int:
    from tests.fuzz import worker

    name, data, act = worker.made(number, seed)
    Path(f"fuzz-{number}").write_bytes(data)
    sys.stdout.write(worker.outcome(name, act) + "\n")
    return 0


def _logged(log: Path | None, seed: int) -> dict[int, dict[str, Any]]:
    lines = log.read_text().splitlines() if log and log.exists() else []
    return {block["first"]: block for block in map(json.loads, lines) if block["seed"] == seed}


def _block(seed: int, first: int, last: int) -> dict[str, Any]:
    """Try a block; where a process dies, the input that it had in hand is a finding, and another goes on behind it."""
    started, counts, findings, start = time.monotonic(), Counter[str](), list[dict[str, Any]](), first
    with tempfile.NamedTemporaryFile() as progress:
        while start < last:
            command = [sys.executable, "-m", "tests.fuzz.worker", *map(str, (seed, start, last)), progress.name]
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
            records = [json.loads(line) for line in done.stdout.splitlines()]
            findings += [record for record in records if "finding" in record]
            counts.update(next((record["counts"] for record in records if "counts" in record), {}))
            start = last
            if done.returncode:
                number = int(Path(progress.name).read_text() or -1)
                findings.append({"finding": number, "problem": f"the process died ({done.returncode})"})
                if number < 0:
                    break
                start = number + 1
    seconds = round(time.monotonic() - started, 1)
    block = {"seed": seed, "first": first, "inputs": last - first, "seconds": seconds}
    return block | {"counts": counts, "findings": findings}


def _report(blocks: list[dict[str, Any]]) -> int:
    counts: Counter[str] = Counter()
    for block in blocks:
        counts.update(block["counts"])
    outcomes = sorted({outcome.partition(": ")[2] for outcome in counts} - {"answered", ""})
    sys.stdout.write(f"| input | answered | {' | '.join(outcomes)} |\n|---|{'---|' * (1 + len(outcomes))}\n")
    for name in sorted({outcome.partition(": ")[0] for outcome in counts} - {"finding"}):
        row = [f"{counts[f'{name}: {outcome}']:,}" for outcome in ("answered", *outcomes)]
        sys.stdout.write(f"| {name} | {' | '.join(row)} |\n")
    inputs, seconds = (sum(block[key] for block in blocks) for key in ("inputs", "seconds"))
    findings = [finding for block in blocks for finding in block["findings"]]
    rate = inputs / max(seconds, 1e-9)
    sys.stdout.write(f"\n{inputs:,} inputs, {rate:,.0f} a second and process, {len(findings)} findings\n")
    for finding in findings[:50]:
        sys.stdout.write(f"\n{finding['finding']}: {finding['problem']}\n")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
