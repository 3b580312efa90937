"""Why an answer is as it is: one plain sentence, from what is known of the photo and was measured of the model."""

from __future__ import annotations

import pickle
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aiface_runtime import Classifier, PhotoWarning, Prediction, Verdict
from aiface_runtime.errors import ManifestError
from aiface_runtime.images.formats import read_header
from aiface_runtime.reasons import Basis, Reason, Rule
from tests.support import SHARED, red_model

RULES = {
    "near_threshold": Rule(0.5, 4.0),
    "small_face": Rule(None, 2.8),
    "strong_compression": Rule(8.0, 2.4),
    "no_face": Rule(None, 2.1),
}
MEASURED = Basis("balanced", 0.2, 0.9, RULES)
UNMEASURED = Basis("balanced", 0.2, 0.9)
REASONS = {
    "operating_point": "balanced",
    "measured_on": "a few",
    "rules": {
        "strong_compression": {"limit": 12, "ratio": 2.5},
        "washed_out": {"limit": 150, "ratio": 3.25},
        "near_threshold": {"limit": 0.3, "ratio": 3.0},
        "of a later version": {"anything": "goes"},
    },
}


def answer(verdict: str, p_ai: float, *warnings: str, basis: Basis | None = MEASURED) -> Prediction:
    scores = {"real": 1 - p_ai, "ai": p_ai}
    return Prediction("a.jpg", Verdict(verdict), p_ai, scores, "m@1", "cpu", None, None, warnings, basis=basis)


def often(ratio: float) -> str:
    return f" (where errors were {ratio} times as frequent)"


SENTENCES = {
    "p_ai 0.97 is well above the threshold 0.90 of 'balanced'; nothing known counts against it.": answer("ai", 0.97),
    "p_ai 0.03 is well below the threshold 0.20 of 'balanced'; nothing known counts against it.": answer("real", 0.03),
    f"p_ai 0.1999 is just below the threshold 0.2000 of 'balanced'{often(4.0)}; nothing else known counts against "
    "it.": (answer("real", 0.1999)),
    f"p_ai 0.97 is well above the threshold 0.90 of 'balanced', but the face is small{often(2.8)} and the JPEG is "
    f"strongly compressed{often(2.4)}.": answer("ai", 0.97, "strong_compression", "several_faces", "small_face"),
    f"The JPEG is strongly compressed{often(2.4)} and p_ai 0.50 lies between the thresholds 0.20 and 0.90 of "
    "'balanced'.": (answer("uncertain", 0.5, "strong_compression")),
    "p_ai 0.50 lies between the thresholds 0.20 and 0.90 of 'balanced'; no other reason is known.": (
        answer("uncertain", 0.5)
    ),
    f"No face was found in what the model sees{often(2.1)}, so there is no verdict although p_ai 0.97 is above the "
    f"threshold 0.90 of 'balanced' and the face is small{often(2.8)}.": (
        answer("uncertain", 0.97, "small_face", "no_face")
    ),
    "Part of the picture is missing, so there is no verdict although p_ai 0.03 is below the threshold 0.20 of "
    "'balanced'.": answer("uncertain", 0.03, "truncated"),
    "p_ai 0.9001 is above the threshold 0.9000 of 'balanced', but the JPEG is strongly compressed and there are "
    "several faces.": answer("ai", 0.9001, "several_faces", "strong_compression", basis=UNMEASURED),
    "p_ai 0.97 got the verdict ai by thresholds that are not known; the photo is tiny.": (
        answer("ai", 0.97, "tiny", basis=None)
    ),
}


@pytest.mark.parametrize("says", SENTENCES)
def test_the_sentence(says: str) -> None:
    assert SENTENCES[says].explanation == says


@pytest.mark.parametrize("basis", [MEASURED, UNMEASURED, None])
def test_it_is_always_one_plain_sentence(basis: Basis | None) -> None:
    warnings = [*([name] for name in PhotoWarning), [], list(PhotoWarning)]
    chances = (0.0, 1e-9, 0.2, 0.5, 0.9, 0.90000001, 1.0)
    for some in warnings:
        for p_ai in chances:
            verdict = "ai" if p_ai >= 0.9 else "real" if p_ai < 0.2 else "uncertain"
            for given in {verdict, "uncertain"}:
                text = answer(given, p_ai, *some, basis=basis).explanation
                assert text.isascii()
                assert text.isprintable()
                assert text.endswith(".")
                assert not re.search(r"[.!?] |[<>&]", text), text


def test_every_warning_can_be_named_as_a_reason() -> None:
    assert set(map(str, Reason)) == {*map(str, PhotoWarning), "near_threshold"}


def test_what_an_answer_was_judged_by_is_not_compared() -> None:
    known, unknown = answer("ai", 0.97), answer("ai", 0.97, basis=None)
    assert (known == unknown, hash(known) == hash(unknown), repr(known) == repr(unknown)) == (True, True, True)
    copy = pickle.loads(pickle.dumps(known))
    assert (copy, copy.explanation) == (known, known.explanation)
    assert list(known.to_record()) == list(unknown.to_record())
    assert "explanation" not in known.to_record()


@pytest.mark.parametrize("quality", [5, 8, 12, 20, 35, 50, 75, 85, 95])
@pytest.mark.parametrize("progressive", [False, True])
def test_the_quality_of_a_jpeg(quality: int, progressive: bool) -> None:
    data = red_model.encoded(Image.new("RGB", (32, 32)), quality=quality, progressive=progressive)
    found = read_header(data).quality
    assert found is not None
    assert abs(found - quality) <= 1
    assert read_header(red_model.encoded(Image.new("RGB", (32, 32)), "PNG")).quality is None


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return red_model.red_model(tmp_path_factory.mktemp("measured") / "red.onnx", reasons=REASONS)


@pytest.mark.parametrize("isolate", [False, True])
def test_limits_come_from_the_model(measured: Path, isolate: bool) -> None:
    picture = red_model.spotted(100, 100, (50, 50), 30)
    coarse = red_model.encoded(picture, quality=12)
    with Classifier(measured, device="cpu", isolate=isolate) as classifier:
        assert classifier.predict(coarse).warnings == (PhotoWarning.STRONG_COMPRESSION,)
        assert classifier.predict(red_model.encoded(picture, quality=20)).warnings == ()
        decoded = np.asarray(picture)
        assert classifier.predict(decoded).warnings == (), "an array has no file that says how it was compressed"
        pale = red_model.encoded(Image.new("RGB", (100, 100), (170, 160, 160)), "PNG")
        washed_out = classifier.predict(pale)
        assert washed_out.warnings == (PhotoWarning.WASHED_OUT,)
        assert (
            "washed out, unlike those of training (where errors were 3.2 times as frequent)" in washed_out.explanation
        )
        assert classifier.explain(coarse).prediction.warnings == (PhotoWarning.STRONG_COMPRESSION,)
        assert [p.explanation for p in classifier.predict_many([coarse], on_error="raise")] == [
            classifier.predict(coarse).explanation
        ]


def test_a_model_without_measured_reasons_claims_nothing(tmp_path: Path) -> None:
    file = red_model.red_model(tmp_path / "red.onnx")
    coarse = red_model.encoded(red_model.spotted(100, 100, (50, 50), 30), quality=5)
    with Classifier(file, device="cpu") as classifier:
        prediction = classifier.predict(coarse)
    assert prediction.warnings == (PhotoWarning.STRONG_COMPRESSION,)
    assert "but the JPEG is strongly compressed." in prediction.explanation
    assert "frequent" not in prediction.explanation


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        {"rules": {}},
        {**REASONS, "rules": []},
        {**REASONS, "rules": {"tiny": {}}},
        {**REASONS, "rules": {"tiny": {"ratio": -1}}},
        {**REASONS, "rules": {"tiny": {"ratio": 2, "limit": "much"}}},
        {**REASONS, "operating_point": "a\nb"},
    ],
)
def test_reasons_that_make_no_sense_are_refused(tmp_path: Path, wrong: object) -> None:
    with pytest.raises(ManifestError, match="export the model again"):
        Classifier(_with_reasons(tmp_path / "red.onnx", wrong))


def _with_reasons(file: Path, reasons: object) -> Path:
    import json

    onnx = pytest.importorskip("onnx", reason="onnx is not installed: no model can be built")
    model = onnx.load(red_model.red_model(file))
    (entry,) = model.metadata_props
    onnx.helper.set_model_props(model, {entry.key: json.dumps(json.loads(entry.value) | {"reasons": reasons})})
    onnx.save(model, file)
    return file


def test_figures_hold_for_the_operating_point_that_was_measured() -> None:
    bundled = {name: Classifier(device="cpu", operating_point=name) for name in ("balanced", "high_recall")}
    measured = bundled["balanced"].manifest.reasons
    assert measured is not None
    assert measured.at("balanced") == measured.rules
    assert {rule.ratio for rule in measured.at("high_recall").values()} == {None}
    assert set(measured.at("high_recall")) == set(measured.rules) - {"near_threshold"}
    tiny = Image.new("RGB", (40, 40), (120, 90, 80))
    assert "frequent" in bundled["balanced"].predict(tiny).explanation
    assert "frequent" not in bundled["high_recall"].predict(tiny).explanation


def test_the_bundled_model_on_real_photos() -> None:
    folder = SHARED / "data" / "val"
    if not folder.is_dir():
        pytest.skip("../shared/data is not here: no real faces to test on")
    photos = [path for label in ("real", "ai") for path in sorted((folder / label).iterdir())[::80]]
    with Classifier(device="cpu") as classifier:
        rules = classifier.manifest.reasons
        assert rules is not None
        limit = rules.rules["strong_compression"].limit
        for path in photos:
            with Image.open(path) as photo:
                low = red_model.encoded(photo.convert("RGB"), quality=5)
                as_pixels = np.asarray(Image.open(path).convert("RGB"))
            assert "compressed" not in classifier.predict(path).explanation, limit
            assert "strongly compressed" in classifier.predict(low).explanation
            assert "compressed" not in classifier.predict(as_pixels).explanation


class Elements(HTMLParser):
    """Collects tags, attributes that could run something, and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.handlers: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.text += data


EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&lt;\u202e\udce9\n.jpg"


def test_a_name_with_markup_is_text_in_a_notebook() -> None:
    prediction = Prediction(EVIL, Verdict.AI, 0.97, {"<b>": 0.97}, EVIL, EVIL, basis=Basis(EVIL, 0.2, 0.9))
    html = prediction._repr_html_()
    html.encode()  # no half character is left
    shown = Elements(html)
    assert shown.tags == {"div", "bdi", "span", "strong"}
    assert shown.handlers == []
    assert shown.text.count("<script>alert(1)</script>") == 4
    assert "\u202e" not in html
    assert "P(AI) 0.970" in shown.text
    assert answer("ai", 0.97).explanation in Elements(answer("ai", 0.97)._repr_html_()).text


def test_a_picture_in_a_notebook_is_small_however_large_the_photo(measured: Path) -> None:
    rng = np.random.default_rng(0)
    with Classifier(measured, device="cpu") as classifier:
        sizes = []
        for side in (300, 3000):
            explained = classifier.explain(rng.integers(0, 256, (side, side // 2, 3), dtype=np.uint8))
            html = explained._repr_html_()
            assert Elements(html).tags == {"div", "bdi", "span", "strong", "img", "br", "small"}
            assert explained.prediction.explanation in Elements(html).text
            sizes.append(len(html))
    assert max(sizes) < 250_000
