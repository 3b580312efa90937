"""One answer for one photo, however it comes in."""

from __future__ import annotations

import multiprocessing
import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from aiface_runtime import Classifier, Failure, Prediction, Verdict, errors


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier(device="cpu")


def test_the_same_photo_gives_the_same_number_by_every_way_in(classifier: Classifier, portrait: Path) -> None:
    data = portrait.read_bytes()
    with portrait.open("rb") as stream, Image.open(portrait) as image:
        answers = [classifier.predict(source) for source in (portrait, str(portrait), data, stream, image)]
        answers.append(classifier.predict(np.asarray(image.convert("RGB"))))
    answers += list(classifier.predict_many([data, portrait, data], batch_size=3, on_error="raise"))
    assert max(answer.p_ai for answer in answers) - min(answer.p_ai for answer in answers) < 1e-6
    assert answers[0].input == str(portrait)
    assert answers[2].input == f"<{len(data):,} bytes>"


def test_a_real_portrait_is_not_called_ai(classifier: Classifier, portrait: Path) -> None:
    answer = classifier.predict(portrait)
    assert answer.verdict is not Verdict.AI
    assert answer.scores.keys() == {"real", "ai"}
    assert sum(answer.scores.values()) == pytest.approx(1.0, abs=1e-5)
    assert answer.p_ai == answer.scores["ai"]
    assert answer.device == "cpu"
    assert answer.model == classifier.manifest.id


def test_every_batch_size_gives_the_same_numbers(classifier: Classifier, portrait: Path) -> None:
    with Image.open(portrait) as image:
        photos = [np.asarray(image.rotate(angle)) for angle in range(0, 77, 7)]
    expected = [classifier.predict(photo).p_ai for photo in photos]
    for batch_size in (1, 2, 7, 50):
        answers = classifier.predict_many(photos, batch_size=batch_size, on_error="raise")
        assert [answer.p_ai for answer in answers] == pytest.approx(expected, abs=1e-5)


def test_many_threads_give_the_same_numbers_in_order(portrait: Path) -> None:
    with Image.open(portrait) as image:
        photos: list[Any] = [image.crop((0, 0, side, side)) for side in range(500, 300, -9)]
    photos.insert(5, "no.jpg")

    def records(threads: int, batch_size: int) -> list[dict[str, Any]]:
        with Classifier(device="cpu", threads=threads) as classifier:
            return [answer.to_record() for answer in classifier.predict_many(photos, batch_size=batch_size)]

    expected = records(threads=1, batch_size=16)
    for batch_size in (4, 50):
        actual = records(threads=3, batch_size=batch_size)
        assert [record["input"] for record in actual] == [record["input"] for record in expected]
        assert actual[5]["error"]["code"] == expected[5]["error"]["code"] == "not_found"
        numbers = ([record["p_ai"] for record in answers if record["error"] is None] for answers in (actual, expected))
        assert next(numbers) == pytest.approx(next(numbers), abs=1e-5)


def test_verdicts_follow_the_operating_point(portrait: Path) -> None:
    for name, point in Classifier().manifest.operating_points.items():
        answer = Classifier(operating_point=name).predict(portrait)
        expected = (
            Verdict.AI if answer.p_ai >= point.ai_from
            else Verdict.REAL if answer.p_ai < point.real_below
            else Verdict.UNCERTAIN
        )  # fmt: skip
        assert answer.verdict is expected


def test_another_operating_point_shares_the_model(classifier: Classifier, portrait: Path) -> None:
    for point in classifier.manifest.operating_points:
        other, opened = classifier.at(point), Classifier(device="cpu", operating_point=point)
        assert other.predict(portrait) == opened.predict(portrait)
        assert other.predict(portrait).explanation == opened.predict(portrait).explanation
        assert other.operating_point == pickle.loads(pickle.dumps(other)).operating_point == point
        assert other.manifest is classifier.manifest
    assert classifier.operating_point == "balanced"
    with pytest.raises(errors.UsageError, match="no_such_point"):
        classifier.at("no_such_point")


def test_bad_photos_become_results_in_order(classifier: Classifier, portrait: Path) -> None:
    answers = list(classifier.predict_many([portrait, "no.jpg", b"", portrait], batch_size=3))
    assert [type(answer) for answer in answers] == [Prediction, Failure, Failure, Prediction]
    assert isinstance(answers[1].error, errors.ImageNotFoundError)
    assert answers[1].to_record()["error"] == {"code": "not_found", "message": "no.jpg: no such file; check the path"}
    assert answers[0].to_record().keys() == answers[1].to_record().keys()


def test_raising_keeps_what_was_done_before(classifier: Classifier, portrait: Path) -> None:
    stream = classifier.predict_many([portrait, "no.jpg"], on_error="raise")
    assert isinstance(next(stream), Prediction)
    with pytest.raises(FileNotFoundError):
        next(stream)


def test_predict_many_is_lazy_and_bounded(classifier: Classifier, portrait: Path) -> None:
    taken = 0

    def photos():  # type: ignore[no-untyped-def]
        nonlocal taken
        while True:
            taken += 1
            yield portrait

    stream = classifier.predict_many(photos(), batch_size=4)
    assert taken == 0
    next(stream)
    assert taken == 4


def test_the_shape_of_a_transformers_pipeline(classifier: Classifier, portrait: Path) -> None:
    answers = classifier(portrait)
    assert [set(item) for item in answers] == [{"label", "score"}] * 2
    assert answers[0]["score"] >= answers[1]["score"]
    assert classifier([portrait, portrait]) == [answers, answers]


def test_threads_share_one_classifier(classifier: Classifier, portrait: Path) -> None:
    expected = classifier.predict(portrait).p_ai
    with ThreadPoolExecutor(4) as pool:
        actual = list(pool.map(lambda _: classifier.predict(portrait).p_ai, range(12)))
    assert actual == pytest.approx([expected] * 12, abs=1e-6)


def _predict(classifier: Classifier, photo: Path, answers: multiprocessing.Queue[float]) -> None:
    answers.put(classifier.predict(photo).p_ai)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_it_answers_in_child_processes(method: str, portrait: Path) -> None:
    classifier = Classifier(device="cpu", threads=2)
    expected = classifier.predict(portrait).p_ai
    context = multiprocessing.get_context(method)
    answers = context.Queue()
    child = context.Process(target=_predict, args=(classifier, portrait, answers))  # spawn pickles, fork inherits
    child.start()
    assert answers.get(timeout=120) == pytest.approx(expected, abs=1e-6)
    child.join(timeout=60)
    assert child.exitcode == 0


def test_pickle_keeps_the_arguments(portrait: Path) -> None:
    classifier = Classifier(device="cpu", threads=1)
    again = pickle.loads(pickle.dumps(classifier))
    assert again.threads == 1
    assert again.predict(portrait).p_ai == pytest.approx(classifier.predict(portrait).p_ai, abs=1e-6)


def test_a_closed_classifier_says_so(portrait: Path) -> None:
    with Classifier() as classifier:
        classifier.predict(portrait)
    with pytest.raises(errors.ModelClosedError, match="make a new one"):
        classifier.predict(portrait)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"device": "cuda"}, errors.DeviceUnavailableError),
        ({"device": "gpu"}, errors.UsageError),
        ({"providers": ["CUDAExecutionProvider"]}, errors.DeviceUnavailableError),
        ({"providers": []}, errors.UsageError),
        ({"providers": "CPUExecutionProvider"}, errors.UsageError),
        ({"threads": 0}, errors.UsageError),
        ({"threads": "2"}, errors.UsageError),
        ({"threads": 2.0}, errors.UsageError),
        ({"threads": True}, errors.UsageError),
        ({"threads": 5000}, errors.UsageError),
        ({"operating_point": ["balanced"]}, errors.UsageError),
        ({"operating_point": "harsh"}, errors.UsageError),
        ({"model": "no-such-model"}, errors.ModelNotFoundError),
        ({"model": __file__}, errors.ModelCorruptError),
    ],
)
def test_what_cannot_be_had_raises(arguments: dict[str, object], error: type[Exception]) -> None:
    if arguments.get("device") == "cuda" or arguments.get("providers"):
        import onnxruntime

        if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
            pytest.skip("this machine's onnxruntime has CUDA")
    with pytest.raises(error) as caught:
        Classifier(**arguments)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("arguments", [{"batch_size": 0}, {"on_error": "ignore"}])
def test_predict_many_checks_its_arguments_at_once(classifier: Classifier, arguments: dict[str, object]) -> None:
    with pytest.raises(errors.UsageError):
        classifier.predict_many([], **arguments)  # type: ignore[call-overload]


def test_predict_many_of_one_path_is_a_mistake(classifier: Classifier) -> None:
    with pytest.raises(errors.UsageError, match="predict"):
        classifier.predict_many("avatar.jpg")


def test_no_stray_output(capfd: pytest.CaptureFixture[str], portrait: Path) -> None:
    Classifier().predict(portrait)
    for device in ("cuda", "tensorrt", "openvino"):
        try:
            Classifier(device=device)
        except errors.DeviceUnavailableError:
            continue
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err == ""
