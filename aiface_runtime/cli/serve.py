"""Answer over HTTP."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from ._common import add_decoding_arguments, add_model_arguments, open_classifier

if TYPE_CHECKING:
    import socket

    from ..serve.settings import Settings

SUMMARY = "Answer over HTTP, on this machine unless told otherwise"

_STOP_SECONDS = 15.0  # for a worker's end, beside the longest request


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1); others need AIFACE_TOKEN")
    add("--port", type=int, default=8000, metavar="N", help="port, 0 for any that is free (default: 8000)")
    add("--workers", type=int, default=1, metavar="N", help="processes that share the port (default: 1)")
    add("--max-batch", type=int, default=8, metavar="N", help="most photos judged together (default: 8)")
    add("--max-wait", type=float, default=2, metavar="MS", help="a photo waits for others so long (default: 2 ms)")
    add("--max-queue", type=int, default=64, metavar="N", help="photos taken on, more are refused (default: 64)")
    add("--max-photos", type=int, default=16, metavar="N", help="photos of one request (default: 16)")
    add("--max-request-bytes", type=int, default=2**25, metavar="N", help="bytes of one request (default: 33554432)")
    add("--seconds", type=float, default=30, metavar="S", help="time for one request (default: 30)")
    add("--drain", type=float, default=0, metavar="S", help="go on accepting so long after SIGTERM (default: 0)")
    add_decoding_arguments(parser)
    add_model_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Serve until a signal; the limits of requests hold for each process."""
    settings = _settings(args)
    args.threads = args.threads or settings.threads
    from ..serve.metrics_folder import shared_counts

    with shared_counts(settings.workers):
        try:
            from ..serve import server
        except ImportError as error:
            from ..errors import UsageError

            raise UsageError(f'the service needs {error.name}; pip install "aiface[serve]"') from error
        bound = server.listen(settings)
        server.log_as_json()
        if settings.workers > 1:
            _run_workers(args, settings, bound)
        else:
            server.log_start(bound, 1)
            server.serve(settings, bound, lambda: open_classifier(args), args.operating_point)
    return 0


def _settings(args: argparse.Namespace) -> Settings:
    from ..serve.settings import Settings, token_of

    names = ("host", "port", "workers", "max_batch", "max_queue", "max_photos", "max_request_bytes", "seconds", "drain")
    chosen = {name: getattr(args, name) for name in names}
    return Settings(**chosen, max_wait=args.max_wait / 1000, token=token_of(os.environ))


def _run_workers(args: argparse.Namespace, settings: Settings, bound: socket.socket) -> None:
    """Open the model, then fork: a mistake shows before there is a worker, and the file's bytes are in memory once."""
    from ..errors import UsageError
    from ..serve.server import log_start, serve
    from ..serve.workers import Workers

    classifier = open_classifier(args)
    if classifier.device != "cpu":
        raise UsageError(f"--workers {settings.workers}: one process drives {classifier.device}; leave it at 1")
    workers = Workers(
        settings.workers, lambda parent: serve(settings, bound, lambda: classifier, args.operating_point, parent)
    )
    log_start(bound, settings.workers)
    try:
        workers.watch()
    except KeyboardInterrupt:
        workers.stop(bound, settings.drain + settings.seconds + _STOP_SECONDS)
