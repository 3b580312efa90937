"""A decoder in a process of its own: same answers, and whatever happens to the process is that photo's failure."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from aiface_runtime import Classifier, Failure, errors
from aiface_runtime.images import EncodedImage
from aiface_runtime.isolation import IsolatedDecoder
from aiface_runtime.limits import Limits
from aiface_runtime.model_input import ModelInput, model_input
from aiface_runtime.steps import Resize
from tests.corpus.bombs import BOMBS, png

STEPS = (Resize(64, 64, "bicubic"),)
SIZE = (128, 128)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds the helper processes in /proc")


@pytest.fixture
def decoder() -> Iterator[IsolatedDecoder]:
    decoder = IsolatedDecoder(Limits(seconds=20.0))
    yield decoder
    decoder.close()
    assert not helpers()


def helpers() -> list[int]:
    """Return the numbers of this process's helper processes."""
    children = Path(f"/proc/self/task/{threading.get_native_id()}/children")
    everywhere = [file.read_text().split() for file in children.parent.parent.glob("*/children")]
    names = [int(number) for numbers in everywhere for number in numbers]
    return [n for n in names if b"aiface_runtime.isolation" in Path(f"/proc/{n}/cmdline").read_bytes()]


def is_taken(decoder: IsolatedDecoder) -> bool:
    """Say whether the only process is at work; under the lock, for it is looked at before it is given any."""
    with decoder._lock:
        return not decoder._idle


@pytest.fixture
def photo(portrait: Path) -> EncodedImage:
    return EncodedImage("portrait.jpg", portrait.read_bytes())


def ask(decoder: IsolatedDecoder, photo: EncodedImage) -> ModelInput:
    return decoder.model_input(photo, STEPS, SIZE)


def test_the_same_pixels_and_the_same_errors(decoder: IsolatedDecoder, photo: EncodedImage) -> None:
    here, there = model_input(photo, STEPS, SIZE, Limits()), ask(decoder, photo)
    np.testing.assert_array_equal(there.pixels, here.pixels)
    assert there.findings == here.findings
    whole = decoder.model_input(photo, (), None)
    np.testing.assert_array_equal(whole.pixels, model_input(photo, (), None, Limits()).pixels)
    for data in (b"text", png(7000, 7000, 8, 2), png(5000, 3, 8, 2), photo.data[:9000] + b"\xff\xd9"):
        outcomes = []
        for make in (lambda p: ask(decoder, p), lambda p: model_input(p, STEPS, SIZE, Limits())):
            try:
                made = make(EncodedImage("x.jpg", data))
                outcomes.append((type(made), str(made.findings)))
            except errors.InputError as error:
                outcomes.append((type(error), str(error), 0.0))
        assert outcomes[0] == outcomes[1]
    assert len(helpers()) == 1, "one process for one photo after the other"


def test_a_process_that_died_is_replaced(decoder: IsolatedDecoder, photo: EncodedImage) -> None:
    first = ask(decoder, photo)
    (process,) = helpers()
    os.kill(process, signal.SIGKILL)
    os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)
    np.testing.assert_array_equal(ask(decoder, photo).pixels, first.pixels)
    assert helpers() != [process]


@pytest.mark.parametrize(("number", "kind"), [(signal.SIGSEGV, errors.ImageDecodeError), (signal.SIGSTOP, None)])
def test_a_process_that_dies_or_hangs_costs_its_photo(
    number: int, kind: type[Exception] | None, photo: EncodedImage
) -> None:
    decoder = IsolatedDecoder(Limits(seconds=1.0))
    expected = ask(decoder, photo)
    (process,) = helpers()
    os.kill(process, signal.SIGSTOP)
    late = EncodedImage("late.jpg", photo.data)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ask, decoder, late)
        while not is_taken(decoder):
            time.sleep(0.01)
        if kind:  # it dies while the photo is in its hands
            os.kill(process, number)
            os.kill(process, signal.SIGCONT)
        error = waiting.exception()
    assert isinstance(error, kind or errors.ImageTimeoutError)
    assert str(error).startswith("late.jpg: ")
    np.testing.assert_array_equal(ask(decoder, photo).pixels, expected.pixels)
    decoder.close()


ATTACKS = {
    "memory": "try:\n    bytearray(400 * 2**20)\nexcept MemoryError:\n    sys.exit(7)",
    "processor time": "while True: pass",
    "a file": "signal.signal(signal.SIGXFSZ, signal.SIG_DFL)\nopen('x', 'wb').write(bytes(10**6))",
}


@pytest.mark.parametrize(("attack", "end"), [("memory", 7), ("processor time", -24), ("a file", -25)])
def test_the_system_s_own_limits_hold(attack: str, end: int, tmp_path: Path) -> None:
    """The last resort, behind the estimate from the header and the deadline."""
    start = (
        "import signal, sys; import numpy; from PIL import Image\n"
        "from aiface_runtime.isolation import _limit, _used_memory; from aiface_runtime.limits import Limits\n"
        "_limit(Limits(seconds=0.1), _used_memory())\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", start + ATTACKS[attack]], cwd=tmp_path, env=environment, check=False)
    assert done.returncode == end


def test_many_threads_share_it(decoder: IsolatedDecoder, photo: EncodedImage) -> None:
    expected = ask(decoder, photo).pixels
    with ThreadPoolExecutor(4) as pool:
        for made in pool.map(lambda _: ask(decoder, photo), range(24)):
            np.testing.assert_array_equal(made.pixels, expected)
    assert 1 <= len(helpers()) <= 4


def test_a_forked_process_has_helpers_of_its_own(decoder: IsolatedDecoder, photo: EncodedImage) -> None:
    expected = ask(decoder, photo).pixels
    before = helpers()
    child = os.fork()
    if child == 0:
        try:
            same = np.array_equal(ask(decoder, photo).pixels, expected)
            decoder.close()
            os._exit(0 if same else 1)
        except BaseException:  # noqa: BLE001 a forked pytest must not go on
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    np.testing.assert_array_equal(ask(decoder, photo).pixels, expected)
    assert helpers() == before


def test_a_classifier_answers_the_same_and_goes_on_after_a_bad_photo(portrait: Path) -> None:
    photos = [str(portrait), BOMBS["jpeg-scans"](), str(portrait), "no.jpg", portrait.read_bytes()]
    with Classifier(device="cpu") as plain, Classifier(device="cpu", isolate=True) as isolated:
        expected = [answer.to_record() for answer in plain.predict_many(photos)]
        assert [answer.to_record() for answer in isolated.predict_many(photos)] == expected
        assert sum(isinstance(answer, Failure) for answer in isolated.predict_many(photos)) == 2
        with pickle.loads(pickle.dumps(isolated)) as again:
            assert again.predict(portrait).p_ai == isolated.predict(portrait).p_ai
            assert helpers()
    assert not helpers()


def test_the_command_takes_it(portrait: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from aiface_runtime.cli import main

    assert main(["predict", "--isolate", "--device", "cpu", str(portrait)]) == 0
    assert capsys.readouterr().out.startswith(f"{portrait}: ")
    assert not helpers()


def test_a_frozen_program_does_not_start_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)  # as PyInstaller sets it
    with pytest.raises(errors.UsageError, match="isolate=False"):
        Classifier(isolate=True)
