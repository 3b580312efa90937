"""What an answer says of its photo, and that one bad photo is the end of that photo alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from aiface_runtime import Classifier, Failure, PhotoWarning, Verdict
from aiface_runtime.images import ImageInput
from aiface_runtime.preprocess import preprocess
from tests.corpus.bombs import encoded


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier(device="cpu")


def test_a_photo_of_which_a_large_part_is_missing_is_uncertain(classifier: Classifier, portrait: Path) -> None:
    data = portrait.read_bytes()
    start = data.index(b"\xff\xda")
    verdicts = {}
    for share in (0.05, 0.5, 1.0):
        cut = data[: start + int(share * (len(data) - start))]
        answer = classifier.predict(cut if share == 1 else cut + b"\xff\xd9")
        verdicts[share] = (answer.verdict, PhotoWarning.TRUNCATED in answer.warnings)
        assert answer.to_record()["warnings"] == [str(warning) for warning in answer.warnings]
    assert verdicts[0.05] == verdicts[0.5] == (Verdict.UNCERTAIN, True)
    assert verdicts[1.0][1] is False


def test_small_photos_are_said_to_be_so(classifier: Classifier, portrait: Path) -> None:
    with Image.open(portrait) as image:
        answers = {side: classifier.predict(image.resize((side, side))) for side in (40, 100, 600)}
    assert {side: answer.warnings for side, answer in answers.items()} == {
        40: (PhotoWarning.TINY, PhotoWarning.UPSCALED),
        100: (PhotoWarning.UPSCALED,),
        600: (),
    }
    assert list(PhotoWarning).index(PhotoWarning.TINY) < list(PhotoWarning).index(PhotoWarning.UPSCALED)


def test_one_lazily_opened_picture_several_times_in_a_batch(portrait: Path) -> None:
    with Classifier(device="cpu", threads=4) as classifier:
        expected = classifier.predict(portrait).p_ai
        for _ in range(5):
            with Image.open(portrait) as lazy:
                photos: list[ImageInput] = [lazy, lazy, portrait, lazy, lazy, lazy]
                answers = list(classifier.predict_many(photos, on_error="raise"))
            assert [answer.p_ai for answer in answers] == pytest.approx([expected] * 6, abs=1e-6)


def test_whatever_a_photo_raises_is_its_failure(
    classifier: Classifier, portrait: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def preprocess_or_fail(photo: Image.Image, *rest: object) -> object:
        if photo.size == (333, 333):
            raise ZeroDivisionError("steps")
        return preprocess(photo, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr("aiface_runtime.model_input.preprocess", preprocess_or_fail)
    odd = encoded(Image.new("RGB", (333, 333)), "PNG")
    answers = list(classifier.predict_many([portrait, odd, portrait]))
    assert [isinstance(answer, Failure) for answer in answers] == [False, True, False]
    assert "cannot be brought to the model's size (steps)" in str(answers[1].error)


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n%%EndComments\nshowpage\n%%EOF\n"

AUDITED = """
import io, json, sys
from pathlib import Path
events = []
def hook(event, arguments):
    if event.startswith(("subprocess", "os.exec", "os.fork", "os.posix_spawn", "os.system", "os.spawn", "socket.",
                         "tempfile")):
        events.append(event)
    elif event == "open" and isinstance(arguments[2], int) and arguments[2] & 3:
        events.append(f"open {arguments[0]} to write")
from aiface_runtime import Classifier
with Classifier(device="cpu") as classifier:
    classifier.predict(sys.argv[1])
    sys.addaudithook(hook)
    outcomes = [answer.to_record()["error"] is None for answer in classifier.predict_many(sys.argv[1:])]
print(json.dumps([events, outcomes, sorted(n for n in sys.modules if n.endswith("ImagePlugin"))]))
"""


def test_no_program_no_temporary_file_no_other_decoder(portrait: Path, tmp_path: Path) -> None:
    """By the interpreter's audit events, on files of every format, on the list or off it."""
    with Image.open(portrait) as image:
        photo = image.convert("RGB").resize((300, 400))
    kinds = {"JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "JPEG2000", "PPM", "MPO"}
    others = {"TGA", "PCX", "SGI", "ICO", "DDS", "EPS", "PDF", "ICNS", "XBM", "MSP"}
    names = []
    for kind in sorted(kinds | others):
        names.append(f"{kind}.jpg")
        mode = "1" if kind in ("XBM", "MSP") else "RGB"
        photo.convert(mode).save(tmp_path / names[-1], kind)
    (tmp_path / "eps.jpg").write_bytes(EPS)
    (tmp_path / "xpm.jpg").write_bytes(b'/* XPM */\nstatic char *x[] = {\n"1 1 1 1",\n"a c #000000",\n"a"};')
    names += ["eps.jpg", "xpm.jpg"]
    done = subprocess.run(
        [sys.executable, "-P", "-c", AUDITED, str(portrait), *names],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    events, outcomes, plugins = json.loads(done.stdout)
    assert events == []
    answered = {name for name, is_answered in zip(names, outcomes[1:], strict=True) if is_answered}
    assert answered == {f"{kind}.jpg" for kind in kinds}
    allowed = {"Bmp", "Gif", "Jpeg", "Jpeg2K", "Png", "Tiff", "WebP", "Avif"}
    assert {name.removeprefix("PIL.").removesuffix("ImagePlugin") for name in plugins} <= allowed
