"""The page of `aiface demo` for tests: the command in a process of its own, and what a person does on its page."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page

MAX_BYTES = 4_000_000
# Ends the server, and so the test, when anything in it asks for an address that is not this machine's.
WATCHED = """
import os, sys
from aiface_runtime.cli import main

def watch(event, args):
    host = {"socket.connect": lambda: args[1][0], "socket.getaddrinfo": lambda: args[0]}.get(event, lambda: None)()
    if isinstance(host, (str, bytes)) and host not in ("127.0.0.1", "localhost", "::1", "0.0.0.0", b"127.0.0.1"):
        os.write(2, f"LEFT THE MACHINE: {event} {args}\\n".encode())

sys.addaudithook(watch)
sys.exit(main(["demo", *sys.argv[1:]]))
"""


@dataclass
class Demo:
    """A running `aiface demo`.

    Attributes:
        process: Process that serves.
        url: Address that it printed.
        folder: Folder for temporary files that it was given.
        messages: File that it writes its stderr to.
    """

    process: subprocess.Popen[str]
    url: str
    folder: Path
    messages: Path

    @property
    def leftovers(self) -> list[Path]:
        """Files that lie in its temporary folder."""
        return [path for path in self.folder.rglob("*") if path.is_file()]

    def errors(self) -> str:
        return self.messages.read_text()

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)


def start(folder: Path, *arguments: str) -> Demo:
    """Start the command and wait for the address that it prints."""
    environment = os.environ | {"TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"}
    messages = folder.with_name(f"{folder.name}.stderr")
    command = [sys.executable, "-P", "-c", WATCHED, "--port", "0", "--device", "cpu", *arguments]
    with messages.open("w") as stderr:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True, env=environment)
    assert process.stdout is not None
    demo = Demo(process, process.stdout.readline().strip(), folder, messages)
    assert demo.url, demo.errors()
    return demo


def send(page: Page, *photos: Path | dict[str, Any]) -> str:
    """Choose photos and return what the status line says when they are answered."""
    files: Any = list(photos)
    page.set_input_files(".aiface-form input[type=file]", files)
    return finished(page)


def finished(page: Page) -> str:
    """Wait until the page has answered, and return its status line."""
    page.wait_for_function(
        """() => {
            const busy = document.querySelector(".aiface-form").hasAttribute("aria-busy");
            return !busy && document.querySelector(".aiface-status").textContent;
        }"""
    )
    return page.inner_text(".aiface-status")


def findings(page: Page) -> list[str]:
    """Return what axe-core calls serious or critical."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response
    assert len(found["passes"]) > 10  # it did look
    return [
        f"{violation['id']}: {node['html'][:200]}"
        for violation in found["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]
