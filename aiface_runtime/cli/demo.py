"""Open a page in which people look at photos."""

from __future__ import annotations

import argparse
import ipaddress
import os
import socket
import tempfile
import threading

from ._common import add_decoding_arguments, add_model_arguments, open_classifier
from .program import complain

SUMMARY = "Open a page on this machine in which people look at photos"

_OPEN = "everyone who reaches this machine can use the page; it asks for no password"
_LOCAL = "127.0.0.1,localhost,::1"
_QUIET = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1", "GRADIO_SHARE": "False"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--browser", action="store_true", help="the page that answers in the browser itself, by WebAssembly"
    )
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="default: 127.0.0.1, this machine alone")
    parser.add_argument("--port", type=int, default=7860, metavar="N", help="default: 7860; 0 for any that is free")
    add_decoding_arguments(parser)
    add_model_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print the address of the page, and serve it until a signal ends the program."""
    return _serve_files(args) if args.browser else _serve_gradio(args)


def _serve_files(args: argparse.Namespace) -> int:
    """Serve the page on loopback; it brings its own model."""
    from ..errors import UsageError
    from ..static_server import PAGE, PageServer

    if not _is_loopback(args.host) or args.model is not None:
        raise UsageError("--browser: this page is served on this machine alone, with the model that it was built with")
    with PageServer(PAGE, args.port) as server:
        print(server.url, flush=True)
        server.serve_forever()
    return 0


def _serve_gradio(args: argparse.Namespace) -> int:
    port = _free_port(args.host, args.port)
    direct = f"{_LOCAL},{args.host}"  # Gradio asks the page whether it answers
    with tempfile.TemporaryDirectory(prefix="aiface-demo-") as folder, open_classifier(args) as classifier:
        os.environ |= _QUIET | {"GRADIO_TEMP_DIR": folder, "NO_PROXY": direct, "no_proxy": direct}  # before its import
        from ..demo import build, launch_options

        page, options = build(classifier), launch_options(classifier.limits)
        try:
            name = f"[{args.host}]" if ":" in args.host and "[" not in args.host else args.host
            _, url, _ = page.launch(server_name=name, server_port=port, prevent_thread_lock=True, quiet=True, **options)
            if not _is_loopback(args.host):
                complain("aiface", f"{args.host}: {_OPEN}")
            print(url, flush=True)
            threading.Event().wait()
        finally:
            page.close(verbose=False)
    return 0


def _free_port(host: str, port: int) -> int:
    """Return a port that can be listened on.

    Raises:
        UsageError: It is in use, or there is no such address here.
    """
    from ..errors import UsageError

    try:
        family, _, _, _, address = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as server:
            if os.name == "posix":
                server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind(address)
            return int(server.getsockname()[1])
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{host} port {port}: cannot be listened on ({reason}); --port 0 takes a free one") from error


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
