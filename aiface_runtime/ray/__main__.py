"""`python -m aiface_runtime.ray IN OUT`: answer for photos on many machines."""

from __future__ import annotations

import argparse
import logging
import os
import socket
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..arguments import Arguments, check_count
from ..cli import exit_code_of
from ..cli._common import add_decoding_arguments, add_extra_arguments, add_model_arguments, extras_of, limits_of
from ..cli.program import complain, run_program
from ..cli.scan import tell
from ..errors import AifaceError, UsageError
from ..images.sources import one_line
from .dataset import Resources, answers_of, check_installed, cores_of, open_model

if TYPE_CHECKING:
    from .dataset import Concurrency

_CONNECT_SECONDS = 10.0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        An exit code, as of `aiface`.
    """
    return run_program("aiface", lambda: _run(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m aiface_runtime.ray",
        description="Answer for photos on all machines of a Ray cluster, into Parquet files.",
        epilog="Exit codes: as of aiface.",
    )
    add = parser.add_argument
    add("inputs", nargs="+", metavar="IN", help="folders (recursively) or photos: paths, or addresses in one store")
    add("output", metavar="OUT", help="folder of Parquet files: a path that all machines see, or an address")
    add("--resume", action="store_true", help="go on with an output that exists")
    add("--address", metavar="HOST:PORT", help="Ray cluster (default: RAY_ADDRESS, otherwise this machine)")
    add("--num-cpus", type=float, default=1, metavar="N", help="cores of an actor, or a fraction (default: 1)")
    add("--num-gpus", type=float, default=0, metavar="N", help="GPUs of an actor, or a fraction (default: 0)")
    add("--concurrency", type=_concurrency, metavar="N|MIN-MAX", help="actors (default: 1 to all that fit)")
    add("--batch-size", type=int, default=128, metavar="N", help="photos an actor takes at a time (default: 128)")
    add("--rows-per-file", type=int, default=1000, metavar="N", help="rows of a Parquet file (default: 1000)")
    add_extra_arguments(parser)
    add_decoding_arguments(parser)
    add_model_arguments(parser, threads=False)
    return parser


def _concurrency(text: str) -> Concurrency:
    try:
        bounds = tuple(int(bound) for bound in text.split("-"))
    except ValueError:
        bounds = ()
    if len(bounds) not in (1, 2):
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor MIN-MAX")
    return bounds[0] if len(bounds) == 1 else (bounds[0], bounds[1])


def _run(args: argparse.Namespace) -> int:
    try:
        return _answer(args)
    except AifaceError as error:
        complain("aiface", error)
        return exit_code_of(error)


def _answer(args: argparse.Namespace) -> int:
    check_installed()
    from .job import write
    from .output import Output

    check_count("--rows-per-file", args.rows_per_file, sys.maxsize)
    resources = Resources(args.num_cpus, args.num_gpus, args.concurrency, args.batch_size)
    output = Output(args.output)
    with output.lock():
        output.check(resume=args.resume)
        limits, cores = limits_of(args), cores_of(args.num_cpus)
        arguments = Arguments(
            args.model, args.device, None, cores, args.operating_point, args.sha256, limits, args.isolate
        )
        opened = open_model(arguments, extras_of(args))
        output.check_settings(opened.settings)
        _connect(args.address)
        try:
            answers = answers_of(args.inputs, opened, resources, checkpoint=output.checkpoint)
            summary = write(answers, output, args.rows_per_file, resume=args.resume)
        except KeyboardInterrupt:
            complain("aiface", f"stopped; the same command with --resume goes on ({output.name})")
            raise
    tell(summary)
    return 1 if summary.failures else 0


def _connect(address: str | None) -> None:
    """Connect to a cluster, or start one on this machine; it tells nobody of its use unless the user has chosen so.

    Raises:
        UsageError: There is no such cluster.
    """
    is_terminal = sys.stderr is not None and sys.stderr.isatty()
    level = logging.INFO if is_terminal else logging.CRITICAL
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if not is_terminal:
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # of what it writes to stderr here
        warnings.filterwarnings("ignore", module=r"ray\.")
    import ray

    # Ray by itself would also look for a cluster that was started here last, and wait for one that is gone.
    named = address or os.environ.get("RAY_ADDRESS") or "local"
    try:
        _check_reachable(named)
        options = {"include_dashboard": False} if named == "local" else {}  # which takes seconds to start
        with nullcontext() if is_terminal else _without_stderr():
            ray.init(named, logging_level=level, log_to_driver=is_terminal, **options)
    except (OSError, RuntimeError, ValueError) as error:
        raise UsageError(f"{named}: no Ray cluster can be reached or started there ({one_line(error)})") from error
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = is_terminal
    context.print_on_execution_start = is_terminal
    logging.getLogger("ray.data").setLevel(level)


@contextmanager
def _without_stderr() -> Iterator[None]:
    """Drop what Ray's own code writes to the descriptor: a line on the level that it logs at."""
    sys.stderr.flush()
    before, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)
        os.close(nothing)


def _check_reachable(address: str) -> None:
    """Connect to a cluster's port, for Ray waits for minutes where there is none.

    Raises:
        OSError, ValueError: Nobody answers there, or it is no address.
    """
    parts = urlsplit(address if "://" in address else f"//{address}")
    if parts.hostname and parts.port:
        socket.create_connection((parts.hostname, parts.port), _CONNECT_SECONDS).close()


if __name__ == "__main__":
    sys.exit(main())
