"""Metadata that are made to cost time or memory, and files that are damaged anywhere, end in an answer or an error."""

from __future__ import annotations

import io
import json
import random
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from aiface_runtime.errors import AifaceError
from aiface_runtime.provenance import Claim, read
from tests.fuzz.mutators import mutated
from tests.support.hostile_metadata import CASES
from tests.support.metadata import exif, gif_with, jpeg_with, packet, picture, png_with, text

ROOT = Path(__file__).parents[3]
IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_LIMITED = """
import json, resource, sys
from aiface_runtime.provenance import read
from tests.support.hostile_metadata import CASES
made = {name: make() for name, (make, _) in CASES.items()}
def used():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 1000
resource.setrlimit(resource.RLIMIT_CPU, (120, 120))  # an end for what would never end
read(made["boxes"])
costs = {}
for name, data in made.items():
    open("/proc/self/clear_refs", "w").write("5")
    before = used()
    read(data)
    costs[name] = used() - before
print(json.dumps(costs))
"""
MAX_MB = 160  # above the process at rest, of a file of up to 64 MiB


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_file_has_an_answer_that_says_what_was_left_out(name: str) -> None:
    make, expected = CASES[name]
    answer = read(make())
    assert any(expected in note for note in answer.notes)
    shown = str(answer)
    assert len(shown) < 30_000
    assert shown.replace("\n", "").isprintable()
    assert "root:" not in shown


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory from /proc")
def test_no_hostile_file_takes_gigabytes_or_never_ends() -> None:
    done = subprocess.run([sys.executable, "-c", _LIMITED], cwd=ROOT, capture_output=True, text=True, check=True)
    costs = json.loads(done.stdout)
    assert set(costs) == set(CASES)
    assert max(costs.values()) < MAX_MB, costs


def test_what_stood_before_the_damage_counts() -> None:
    made = packet(f'Iptc4xmpExt:DigitalSourceType="{IPTC}trainedAlgorithmicMedia"', "<xmp:CreatorTool>GIMP")
    answer = read(picture("JPEG", xmp=made))
    assert [found.claim for found in answer.findings] == [Claim.GENERATED]
    assert any("XMP was not read to its end" in note for note in answer.notes)
    cut = read(png_with(text("tEXt", "parameters", "Steps: 20, Seed: 5"))[:100])
    assert [found.claim for found in cut.findings] == [Claim.GENERATOR_SETTINGS]
    assert any("cut short" in note for note in cut.notes)


def _seeds() -> list[bytes]:
    xmp = packet(f'Iptc4xmpExt:DigitalSourceType="{IPTC}digitalCapture" xmp:CreatorTool="GIMP"')
    block = exif({0x010F: "Canon", 0x0131: "GIMP"}, b"UNICODE\0" + "Steps: 20, Seed: 5".encode("utf-16-be"))
    seeds = [picture(kind, exif=block, xmp=xmp) for kind in ("JPEG", "WEBP", "AVIF")]
    seeds += [
        png_with(
            *(text(kind, "parameters", "Steps: 20, Seed: 5") for kind in ("tEXt", "zTXt", "iTXt")), (b"eXIf", block[6:])
        ),
        png_with(text("iTXt", "XML:com.adobe.xmp", xmp.decode())),
        picture("TIFF", tiffinfo={271: "Canon", 305: "GIMP", 700: xmp}),
        gif_with(b"\x21\xff\x0bXMP DataXMP" + xmp + bytes([1, *range(255, -1, -1), 0]), b"\x21\xfe\4GIMP\0"),
        jpeg_with((0xFE, b"comment"), (0xED, b"Photoshop 3.0\x008BIM\4\4\0\0\0\0\0\x09\x1c\2\x6e\0\4GIMP\0")),
        picture("JPEG2000"),
    ]
    return seeds


def _signed_seeds() -> list[bytes]:
    """Return pictures with Content Credentials, none where nothing is installed that signs them."""
    if find_spec("c2pa") is None or find_spec("cryptography") is None:
        return []
    from tests.support.signing import make_signer

    signer = make_signer()
    return [signer.sign(picture(kind), f"image/{kind.lower()}") for kind in ("JPEG", "PNG", "AVIF")]


def _outcome(data: bytes) -> str:
    try:
        answer = read(io.BytesIO(data))
    except AifaceError as error:
        return str(error)
    record = answer.to_record()
    return str(answer).replace("\n", "") if json.loads(json.dumps(record)) == record else "\n"


def test_damage_anywhere_ends_in_an_answer_or_an_error_of_this_library() -> None:
    chance, seeds = random.Random(18), _seeds() + _signed_seeds()
    outcomes = [_outcome(mutated(seeds[n % len(seeds)], chance.choice(seeds), chance)) for n in range(600)]
    assert all(outcome.isprintable() for outcome in outcomes)
    assert sum("Content Credentials: " in outcome for outcome in outcomes) > 300
