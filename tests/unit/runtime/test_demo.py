"""The parts of the page that need no Gradio: what it takes from a browser, and what it says."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from aiface_runtime import Classifier, Failure, Limits, PhotoWarning
from aiface_runtime.demo.answers import Detail, answer_all, look_closely
from aiface_runtime.demo.rates import measured_rates
from aiface_runtime.demo.uploads import MAX_PHOTOS, Upload, parse_request, removed_after
from aiface_runtime.demo.words import WARNINGS
from aiface_runtime.errors import ImageReadError, ImageTooLargeError, UsageError
from aiface_runtime.manifest import parse_manifest
from tests.support.red_model import red_model

MAX_BYTES = 100


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier(device="cpu")


def question(*paths: Path | None, **more: object) -> dict[str, object]:
    photos = [{"name": f"{number}.png", "path": path and str(path)} for number, path in enumerate(paths)]
    return {"photos": photos, "operating_point": "balanced"} | more


def uploaded(folder: Path, data: bytes = b"photo") -> Path:
    file = folder / "hash" / "random"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(data)
    return file


def test_an_upload_is_read_once_and_gone(tmp_path: Path) -> None:
    file = uploaded(tmp_path)
    request = parse_request(question(file), tmp_path, MAX_BYTES)
    (upload,) = request.uploads
    assert (upload.name, request.operating_point, request.is_detail) == ("0.png", "balanced", False)
    assert upload.read() == b"photo"
    assert not file.parent.exists()
    assert upload.read() == b""
    with pytest.raises(ImageReadError, match="send it again"):
        Upload("gone.png", file, 5, MAX_BYTES).read()


def test_what_is_too_large_is_refused_unread_and_removed(tmp_path: Path) -> None:
    file = uploaded(tmp_path, bytes(MAX_BYTES + 1))
    with pytest.raises(ImageTooLargeError, match="101 bytes; at most 100"):
        Upload("a.png", file, 0, MAX_BYTES).read()
    assert not file.exists()
    with pytest.raises(ImageTooLargeError, match="1,000 bytes"):
        Upload("kept back.png", None, 1000, MAX_BYTES).read()


def test_uploads_are_removed_when_nobody_reads_them(tmp_path: Path) -> None:
    file = uploaded(tmp_path)
    uploads = parse_request(question(file), tmp_path, MAX_BYTES).uploads
    with pytest.raises(ZeroDivisionError), removed_after(uploads):
        raise ZeroDivisionError
    assert not file.exists()


def test_no_file_elsewhere_is_taken(tmp_path: Path) -> None:
    folder, other = tmp_path / "uploads", tmp_path / "other"
    folder.mkdir()
    other.write_bytes(b"private")
    folder.joinpath("link").symlink_to(other)
    for path in (other, folder / "link", folder / ".." / "other", Path("/etc/passwd"), Path("http://192.0.2.1/a.png")):
        with pytest.raises(UsageError, match="load the page again"):
            parse_request(question(path), folder, MAX_BYTES)
    assert other.read_bytes() == b"private"


@pytest.mark.parametrize(
    "value",
    [None, 3, "text", [], {}, question(), question(*[None] * (MAX_PHOTOS + 1)), question(None, operating_point=3),
     question(None, detail="yes"), {"photos": ["a.png"], "operating_point": "balanced"},
     {"photos": [{"name": 3}], "operating_point": "balanced"}],
)  # fmt: skip
def test_nonsense_is_a_usage_error(value: object, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        parse_request(value, tmp_path, MAX_BYTES)
    assert len(str(caught.value)) < 500


def test_answers_are_those_of_predict(classifier: Classifier, portrait: Path, tmp_path: Path) -> None:
    answer, limits = classifier.predict(portrait), Limits()

    def upload(data: bytes) -> Upload:
        return Upload("name.jpg", uploaded(tmp_path, data), 0, limits.bytes)

    detail = look_closely(classifier, upload(portrait.read_bytes()))
    assert isinstance(detail, Detail)
    assert (detail.prediction.p_ai, detail.prediction.verdict) == (answer.p_ai, answer.verdict)
    assert detail.prediction.input == detail.provenance.input == "name.jpg"
    bad = look_closely(classifier, upload(b"no picture"))
    assert isinstance(bad, Failure)
    assert bad.code == "not_an_image"
    both = answer_all(classifier, [upload(portrait.read_bytes()), Upload("huge.jpg", None, 2**40, limits.bytes)])
    assert [one.to_record()["error"] and one.to_record()["error"]["code"] for one in both] == [None, "too_large"]
    assert not list(tmp_path.rglob("*"))


def test_a_model_without_maps_is_shown_without_them(portrait: Path, tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    from aiface_runtime.demo.view import about_html, detail_html

    limits = Limits()
    with Classifier(red_model(tmp_path / "red.onnx", promised=False), device="cpu") as classifier:
        upload = Upload("name.jpg", uploaded(tmp_path, portrait.read_bytes()), 0, limits.bytes)
        detail = look_closely(classifier, upload)
        assert isinstance(detail, Detail)
        html = detail_html(detail, classifier, classifier.operating_point)
        assert html.count("<img") == 1
        assert "does not say how many real photos" in html
        assert "says nothing of how often it is wrong" in about_html(classifier.manifest, limits)


def test_rates_are_those_of_the_test_split_at_these_thresholds(classifier: Classifier) -> None:
    document = copy.deepcopy(dict(classifier.manifest.document))
    conditions = document["evaluation"]["splits"]["test"]["conditions"]
    rates = measured_rates(classifier.manifest, "balanced")
    assert [rate.condition.partition(":")[0] for rate in rates] == ["clean", "web", "hard"]
    overall = conditions["clean"]["overall"]
    assert rates[0].false_alarms == overall["points"]["balanced"]["fpr"]
    assert rates[0].photos == f"{overall['n_real']} real and {overall['n_ai']} AI photos of the split test"
    assert rates[0].interval == tuple(overall["points"]["balanced"]["fpr_interval"])


def test_rates_at_other_thresholds_are_not_shown_as_those_of_this_model(classifier: Classifier) -> None:
    """A recalibrated copy keeps the record of the first evaluation, and says what its own thresholds were fitted to."""
    import json

    document = copy.deepcopy(dict(classifier.manifest.document))
    document["operating_points"]["balanced"] |= {"ai_from": 0.5}
    changed = parse_manifest(json.dumps(document), "changed.onnx")
    rates = measured_rates(changed, "balanced")
    fitted = document["operating_points"]["balanced"]["measured"]
    assert {rate.photos for rate in rates} == {"the photos that the thresholds were fitted to"}
    assert [rate.false_alarms for rate in rates] == [each["false_positive_rate"] for each in fitted.values()]
    for evaluation in (None, [], {"operating_points": 3}, {"splits": {}}):
        document |= {"evaluation": evaluation}
        document["operating_points"]["balanced"] |= {"measured": evaluation}
        assert measured_rates(parse_manifest(json.dumps(document), "changed.onnx"), "balanced") == ()


def test_every_warning_has_plain_words() -> None:
    assert set(WARNINGS) == set(PhotoWarning)
