"""`python -m benchmarks.ray_throughput FOLDER`: what Ray costs beside `aiface scan`, and what 10⁹ photos would take.

Both commands answer for the same distinct photos in turns, on the same two cores. Where the time and the memory go is
measured once more by a program that does the same step by step. It prints JSON, and with --write puts the tables into
docs/ray.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.machine import machine
from benchmarks.page import Section, table
from benchmarks.scan_throughput import distinct

_ROOT = Path(__file__).resolve().parents[1]
PAGE = Section(_ROOT / "docs/ray.md", "measured")
_CORES = 2
_NAMES = 1_000_000  # of the listing that is measured
_KINDS = {  # what a process's command line has: the first that fits
    "actors": "MapBatches(Answer)",
    "idle and light workers": "ray::",
    "raylet": "raylet/raylet",
    "GCS": "gcs_server",
    "agents": "agent",
    "monitor": "monitor.py",
    "driver": "ray_steps",
}


def main() -> None:
    """Measure, and print or write what was found."""
    parser = argparse.ArgumentParser(description="Compare aiface_runtime.ray with aiface scan")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=5000, help="photos to take (default: 5000)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each command (default: 3)")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/ray.md")
    args = parser.parse_args()
    photos = distinct(args.folder)[: args.photos]
    if not photos:
        parser.error(f"no photos in {args.folder}")
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:_CORES])  # also of all that is started from here
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _link(photos, folder / "photos")
        report = {"machine": machine(), "photos": len(photos), "cores": _CORES, "rounds": args.rounds}
        report |= {"commands": _commands(folder, args.rounds), **_steps(folder, len(photos))}
    report["photo_bytes"] = sum(Path(photo).stat().st_size for photo in photos) / len(photos)
    print(json.dumps(report, indent=2))
    if args.write:
        PAGE.replace(page(report))


def _link(photos: Sequence[str], folder: Path) -> None:
    for number, photo in enumerate(photos):
        part = folder / f"{number // 1000}"
        part.mkdir(parents=True, exist_ok=True)
        part.joinpath(f"{number}{Path(photo).suffix}").symlink_to(Path(photo).resolve())


def _commands(folder: Path, rounds: int) -> dict[str, dict[str, float]]:
    """Return the median seconds of each whole command, and of them those that it says answering took."""
    own = [sys.executable, "-P", "-m"]
    commands = {
        "aiface scan": [*own, "aiface_runtime", "scan", "photos", "-o", "{}.parquet", "--threads", str(_CORES)],
        "aiface_runtime.ray": [*own, "aiface_runtime.ray", "photos", "{}", "--concurrency", str(_CORES)],
    }
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for turn in range(rounds):
        for name, command in commands.items():
            filled = [part.format(f"{name.replace(' ', '-')}-{turn}") for part in command]
            started = time.monotonic()
            done = subprocess.run(filled, cwd=folder, capture_output=True, text=True, check=False)
            if done.returncode > 1:
                raise RuntimeError(f"{name}: {done.stderr}")
            said = next(line for line in done.stderr.splitlines() if " answered in " in line)
            seconds = float(said.partition(" answered in ")[2].partition(" s")[0])
            taken[name].append((time.monotonic() - started, seconds))
    return {
        name: {"seconds": median(pair[0] for pair in pairs), "answering": median(pair[1] for pair in pairs)}
        for name, pairs in taken.items()
    }


def _steps(folder: Path, photos: int) -> dict[str, Any]:
    """Return what the program that goes step by step found, and the memory of its processes meanwhile."""
    before = _shared_memory()
    command = [sys.executable, "-m", "benchmarks.ray_steps", str(folder), str(photos), str(_NAMES)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=_ROOT)
    with _memory(process.pid, before) as peaks:
        output, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"benchmarks.ray_steps: exit code {process.returncode}")
    return {"steps": json.loads(output.splitlines()[-1]), "memory": peaks}


@contextmanager
def _memory(pid: int, before: int) -> Iterator[dict[str, float]]:
    """Gather the most bytes that each kind of process held, shared pages by share, until the block ends."""
    peaks: dict[str, float] = {}
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.5):
            now: dict[str, float] = {"object store": _shared_memory() - before}
            for line, size in _processes(pid):
                kind = next((kind for kind, part in _KINDS.items() if part in line), "other")
                now[kind] = now.get(kind, 0) + size
            for kind, size in now.items():
                peaks[kind] = max(peaks.get(kind, 0), size)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peaks
    finally:
        stop.set()
        thread.join()


def _processes(pid: int) -> Iterator[tuple[str, int]]:
    """Yield the command line and the memory of a process and all below it."""
    children: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(status.read_text(encoding="utf-8").rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(status.parent.name))
    waiting = [pid]
    for each in waiting:  # which grows
        waiting += children.get(each, [])
        try:
            line = Path(f"/proc/{each}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            rollup = Path(f"/proc/{each}/smaps_rollup").read_text(encoding="utf-8")
        except OSError:
            continue
        yield line, sum(int(row.split()[1]) * 1024 for row in rollup.splitlines() if row.startswith("Pss_Anon:"))


def _shared_memory() -> int:
    status = os.statvfs("/dev/shm") if Path("/dev/shm").is_dir() else None  # noqa: S108 Ray's place for its objects
    return (status.f_blocks - status.f_bfree) * status.f_frsize if status else 0


def page(report: dict[str, Any]) -> str:
    """Return the tables of the page."""
    commands, steps, memory = report["commands"], report["steps"], report["memory"]
    photos, cores = report["photos"], report["cores"]
    scan = commands["aiface scan"]["seconds"]
    rows = [
        (name, f"{each['seconds']:.1f}", f"{photos / each['seconds']:.1f}", f"{scan / each['seconds']:.0%}",
         f"{photos / each['answering']:.1f}")
        for name, each in commands.items()
    ]  # fmt: skip
    first = table(("command", "seconds", "photos/s", "of `aiface scan`", "photos/s of answering alone"), rows)
    parts = table(("step of the job", "seconds"), [(name, f"{value:.2f}") for name, value in steps["seconds"].items()])
    rates = table(("photos from", "photos/s"), [(name, f"{value:.1f}") for name, value in steps["rates"].items()])
    held = table(("what holds memory", "MB"), [(name, f"{size / 1e6:.0f}") for name, size in sorted(memory.items())])
    made = report["machine"]
    where = f"Measured on {made['processor']}, {cores} cores, Python {made['python']}, {steps['versions']}, "
    where += f"with {photos:,} photos, medians of {report['rounds']} turns."
    return "\n\n".join([where, first, parts, rates, held, table(("10⁹ photos", ""), _billion(report))]) + "\n"


def _billion(report: dict[str, Any]) -> list[tuple[str, str]]:
    """Work out what 10⁹ photos take, where a photo takes what it took here."""
    steps, memory = report["steps"], report["memory"]
    rate = steps["rates"]["single files"] / report["cores"]
    hours = 1e9 / rate / 3600
    return [
        ("core-hours of answering", f"{hours:,.0f}"),
        ("days on 64 cores", f"{hours / 64 / 24:.1f}"),
        ("memory a core: an actor", f"{memory['actors'] / report['cores'] / 1e6:.0f} MB"),
        ("bytes read", f"{report['photo_bytes'] / 1e3:.1f} TB ({report['photo_bytes'] / 1e3:.1f} kB a photo)"),
        ("bytes written: answers", f"{steps['answer_bytes']:.0f} GB ({steps['answer_bytes']:.0f} bytes a photo)"),
        ("bytes written: checkpoint", f"{steps['checkpoint_bytes']:.0f} GB"),
        ("listing by the program: hours", f"{1e9 / steps['listing']['names_per_second'] / 3600:.1f}"),
        ("listing by the program: memory", f"{steps['listing']['bytes_per_name']:.0f} GB"),
        ("ids of a checkpoint in the memory of a node", "8 GB"),
    ]


if __name__ == "__main__":
    main()
