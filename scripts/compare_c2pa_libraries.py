"""Compare the two libraries that check Content Credentials in Python; prints a table in Markdown.

Run as `python -m scripts.compare_c2pa_libraries` where both are installed, with cryptography.
"""

from __future__ import annotations

import io
import json
import random
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from importlib.metadata import distribution
from typing import Any

import c2pa
import encypher_c2pa

from tests.fuzz.mutators import mutated
from tests.support.metadata import picture
from tests.support.signing import Signer, make_signer

DAMAGED = 2000
Checker = Callable[[bytes, str | None], str]


def official(data: bytes, anchors: str | None) -> str:
    """Return c2pa-python's state, with what failed."""
    settings: dict[str, Any] = {"trust": {"user_anchors": anchors}} if anchors else {}
    reader = c2pa.Reader("image/jpeg", io.BytesIO(data), context=c2pa.Context(c2pa.Settings.from_dict(settings)))
    report = json.loads(reader.json())
    failures = report.get("validation_results", {}).get("activeManifest", {}).get("failure", [])
    return _words(report["validation_state"], failures)


def encypher(data: bytes, anchors: str | None) -> str:
    """Return encypher-c2pa's answers to both questions, with what failed."""
    report = encypher_c2pa.verify(data, "image/jpeg", trust_pem=anchors)
    state = f"integrity {report['integrity']}, trust {report['trust']['status']}"
    return _words(state, report["validation_results"]["failure"])


def _words(state: str, failures: list[dict[str, str]]) -> str:
    return ", ".join([state, *sorted({failure["code"] for failure in failures})])


def _installed(name: str) -> Iterator[str]:
    """Yield a distribution and what it requires, to the end."""
    yield name
    for requirement in distribution(name).requires or ():
        if "extra ==" not in requirement:
            yield from _installed(re.split(r"[^\w.-]", requirement)[0])


def _megabytes(names: set[str]) -> float:
    files = [path.locate() for name in names for path in distribution(name).files or ()]
    return sum(path.stat().st_size for path in files if path.is_file() and path.suffix != ".pyc") / 1e6  # type: ignore[attr-defined]


def _asked(check: Checker, signer: Signer) -> str:
    """Say whether the address that a photo names for its credentials is asked, as a caller gets it by default."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)
        photo = signer.sign(picture("JPEG"), "image/jpeg", remote=f"http://127.0.0.1:{server.getsockname()[1]}/m.c2pa")
        threading.Thread(target=lambda: _outcome(check, photo, None), daemon=True).start()
        try:
            server.accept()[0].close()
        except TimeoutError:
            return "no"
    return "yes"


def _outcome(check: Checker, data: bytes, anchors: str | None) -> str:
    try:
        return check(data, anchors)
    except Exception as error:  # noqa: BLE001 that is what is compared
        return f"{type(error).__name__}: {error}"


def _damaged(check: Checker, photo: bytes) -> str:
    chance = random.Random(18)  # noqa: S311 no secret
    kinds = [_outcome(check, mutated(photo, photo, chance), None).partition(":")[0] for _ in range(DAMAGED)]
    errors = sorted({kind for kind in kinds if re.fullmatch(r"\w*(Error|Exception)|_C2pa\w+", kind)})
    return f"each answered or refused ({', '.join(errors)})"


def main() -> None:
    """Print the table."""
    signer, brief = make_signer(), make_signer(seconds=3)
    photo, short_lived = (each.sign(picture("JPEG"), "image/jpeg") for each in (signer, brief))
    tampered = photo[:-5] + bytes([photo[-5] ^ 1]) + photo[-4:]
    time.sleep(4)
    columns: dict[str, Checker] = {"c2pa-python": official, "encypher-c2pa": encypher}
    required = {name: set(_installed(name)) - {"numpy", "pillow"} for name in columns}
    rows: dict[str, Callable[[str, Checker], str]] = {
        "version": lambda name, _: distribution(name).version,
        "what it requires": lambda name, _: ", ".join(sorted(required[name] - {name})) or "nothing",
        "installed with that, MB": lambda name, _: f"{_megabytes(required[name]):.0f}",
        "intact, its signer's authority given": lambda _, check: _outcome(check, photo, signer.anchor),
        "intact, signer unknown": lambda _, check: _outcome(check, photo, None),
        "one byte of the picture changed": lambda _, check: _outcome(check, tampered, signer.anchor),
        "cut short": lambda _, check: _outcome(check, photo[: len(photo) // 2], None),
        "intact, certificate run out since": lambda _, check: _outcome(check, short_lived, brief.anchor),
        "by default asks an address that the photo names": lambda _, check: _asked(check, signer),
        f"{DAMAGED:,} damaged files": lambda _, check: _damaged(check, photo),
    }
    sys.stdout.write(f"| | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}\n")
    for title, row in rows.items():
        sys.stdout.write(f"| {title} | {' | '.join(row(name, check) for name, check in columns.items())} |\n")


if __name__ == "__main__":
    main()
