"""Many photos: nothing that was answered is lost, every photo's own error is its record, memory is given back."""

from __future__ import annotations

import gc
import http.client
import multiprocessing
import os
import pickle
import weakref
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aiface_runtime import Classifier, Failure, Prediction, errors
from aiface_runtime.latency import Timing, take_turns

GREY = np.full((64, 64, 3), 128, np.uint8)


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier(device="cpu", threads=2)


class Broken:
    """A file whose `read` raises."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def read(self, _: int = -1) -> bytes:
        raise self._error


class Nameless:
    """A file that cannot even say its name."""

    @property
    def name(self) -> str:
        raise RuntimeError("no name")

    def read(self, _: int = -1) -> bytes:
        return b""


@pytest.mark.parametrize("batch_size", [1, 2, 16])
@pytest.mark.parametrize("error", [ValueError("the database is gone"), errors.UsageError("no"), StopAsyncIteration()])
def test_what_came_before_an_error_of_the_iterator_is_answered(
    classifier: Classifier, error: Exception, batch_size: int
) -> None:
    def photos() -> Iterator[Any]:
        yield from (GREY, b"", GREY)
        raise error

    answers = classifier.predict_many(photos(), batch_size=batch_size)
    assert [type(next(answers)) for _ in range(3)] == [Prediction, Failure, Prediction]
    with pytest.raises(type(error)) as caught:
        next(answers)
    assert caught.value is error
    assert list(answers) == []


@pytest.mark.parametrize(
    "error",
    [
        http.client.IncompleteRead(b"", 9),
        zipfile.BadZipFile("bad magic"),
        zlib.error("Error -3"),
        MemoryError(),
        RecursionError("too deep"),
        AttributeError("gone"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_a_photo_raises_is_its_record(classifier: Classifier, error: Exception) -> None:
    photos: list[Any] = [GREY, Broken(error), Nameless(), GREY]
    first, broken, nameless, last = classifier.predict_many(photos)
    assert (first.error, last.error) == (None, None)
    for failure in (broken, nameless):
        assert isinstance(failure.error, errors.InputError)
        message = failure.to_record()["error"]["message"]  # type: ignore[index]
        assert message.startswith(f"{failure.input}: ")
        assert "\n" not in message
        assert str(pickle.loads(pickle.dumps(failure)).error) == message
    with pytest.raises(errors.InputError):
        list(classifier.predict_many(photos, on_error="raise"))


def test_an_entry_of_a_folder_listed_as_bytes_has_a_name(classifier: Classifier, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"no photo")
    with os.scandir(os.fsencode(tmp_path)) as entries:
        (answer,) = classifier.predict_many(list(entries))
    assert answer.input == str(tmp_path / "a.jpg")
    assert isinstance(answer.error, errors.InputError)


def test_a_model_that_is_closed_meanwhile_is_no_photos_fault() -> None:
    classifier = Classifier(device="cpu", threads=1)
    answers = classifier.predict_many([GREY, GREY], batch_size=1)
    next(answers)
    classifier.close()
    with pytest.raises(errors.ModelClosedError):
        next(answers)


def test_photos_are_let_go_when_their_answers_are_given(classifier: Classifier) -> None:
    class Photo(np.ndarray):  # type: ignore[type-arg]  # a plain array takes no weak reference
        pass

    alive: list[weakref.ref[Any]] = []

    def watched(photo: Any) -> Any:
        alive.append(weakref.ref(photo))
        return photo

    def photos() -> Iterator[Any]:
        for _ in range(4):
            yield watched(GREY.view(Photo))
        yield watched(Broken(zlib.error("Error -3")))

    answers = classifier.predict_many(photos(), batch_size=5)
    kept = [next(answers) for _ in range(5)]  # the failure with its error among them
    gc.collect()
    assert kept[-1].error is not None
    assert [reference() for reference in alive] == [None] * 5


def test_the_model_never_runs_on_more_than_2_photos_a_core(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, lengths = classifier._engine, []
    run = engine.run_on_one_core

    def counted(batch: Any) -> Any:
        lengths.append(len(batch))
        return run(batch)

    monkeypatch.setattr(engine, "run_on_one_core", counted)
    for count, expected in ((1, [1]), (3, [2, 1]), (5, [2, 2, 1]), (16, [2] * 8), (97, [2] * 48 + [1])):
        lengths.clear()
        assert len(list(classifier.predict_many([GREY] * count, batch_size=512))) == count
        assert sorted(lengths, reverse=True) == sorted(expected, reverse=True)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_run_goes_on_in_a_forked_child() -> None:
    classifier = Classifier(device="cpu", threads=3)
    answers = classifier.predict_many([GREY] * 9, batch_size=3)
    expected = next(answers).p_ai  # type: ignore[union-attr]
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=lambda: queue.put([answer.p_ai for answer in answers]))  # type: ignore[union-attr]
    child.start()
    try:
        assert queue.get(timeout=120) == pytest.approx([expected] * 8, abs=1e-6)
        child.join(timeout=60)
        assert child.exitcode == 0
    finally:
        child.kill()


@pytest.mark.parametrize(
    "arguments",
    [
        *({"threads": threads} for threads in ("2", True, 2.0, 0, -1, 5000, np.True_)),
        *({"providers": providers} for providers in ("CPUExecutionProvider", [1], 3, {"CPUExecutionProvider"})),
        *({"operating_point": point} for point in (3, None, ["balanced"], b"balanced")),
        *({"device": device} for device in (3, None, ["cpu"])),
        *({"model": model} for model in (3, True, ["model"])),
    ],
    ids=repr,
)
def test_arguments_of_a_wrong_kind_are_one_line(arguments: dict[str, Any]) -> None:
    with pytest.raises(errors.UsageError) as caught:
        Classifier(**arguments)
    assert str(caught.value).startswith(f"{next(iter(arguments))} ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("batch_size", ["3", True, 2.0, 0, -1, 10**30, None])
def test_a_batch_size_of_a_wrong_kind_is_one_line(classifier: Classifier, batch_size: Any) -> None:
    with pytest.raises(errors.UsageError, match="batch_size"):
        classifier.predict_many([], batch_size=batch_size)


def test_numbers_of_numpy_are_numbers(classifier: Classifier) -> None:
    assert Classifier(device="cpu", threads=np.int64(1)).threads == 1  # type: ignore[arg-type]
    assert len(list(classifier.predict_many([GREY, GREY], batch_size=np.int32(2)))) == 2  # type: ignore[call-overload]


@pytest.mark.parametrize("images", [5, None, b"x", bytearray(b"x"), memoryview(b"x"), GREY, "a.jpg", Path("a.jpg")])
def test_what_is_not_several_photos_is_one_line(classifier: Classifier, images: Any, portrait: Path) -> None:
    with pytest.raises(errors.UsageError, match="several photos"):
        classifier.predict_many(images)
    with portrait.open("rb") as stream, pytest.raises(errors.UsageError, match="several photos"):
        classifier.predict_many(stream)  # type: ignore[call-overload]


@pytest.mark.parametrize("rounds", ["3", True, 0, 1.5])
def test_rounds_of_a_wrong_kind_are_one_line(rounds: Any) -> None:
    with pytest.raises(errors.UsageError, match="rounds"):
        list(take_turns({}, rounds))
    with pytest.raises(errors.UsageError):
        Timing.of([])


def test_results_are_hashable(classifier: Classifier) -> None:
    answers = list(classifier.predict_many([GREY, GREY, b""]))
    assert len(set(answers)) == 2
    prediction, _, failure = answers
    again = pickle.loads(pickle.dumps(prediction))
    assert (again, hash(again)) == (prediction, hash(prediction))
    assert {failure: 1}[failure] == 1
