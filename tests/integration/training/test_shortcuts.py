"""What features of a file tell of the label: of raw photos a lot, of what a network is fed next to nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aiface_training.cli import main
from aiface_training.shortcuts.probe import CODEC, CONTENT, FED, GRID, LABEL, RAW, SIZE, SPECTRUM

pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # loaders fork workers beside PyTorch's threads
]

# The lowest AUC that a shortcut which is there must be able to have, the highest that a hidden one may have. The label
# is harder to tell than what is planted: the FFHQ photos and the StyleGAN fakes were encoded alike. How large a photo
# was is blurred, not hidden.
_SEEN = {(LABEL, RAW): 0.75, (CODEC, RAW): 0.9, (SIZE, RAW): 0.9}
_HIDDEN = {
    **{(case, kind): 0.6 for case in (LABEL, CODEC, SIZE) for kind in (FED, GRID)},
    **{(case, CONTENT): 0.6 for case in (CODEC, SIZE)},  # a planted label says nothing of the scene
    (CODEC, SPECTRUM): 0.65,
    (SIZE, SPECTRUM): 0.77,
}


@pytest.mark.slow
def test_the_augmentation_hides_the_file(shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the ends of the 95 % intervals, so that it does not hang on which photos lie there."""
    file = tmp_path / "shortcuts.json"
    command = ["shortcuts", str(shared_data), "--samples", "400", "--iterations", "25", "-o", str(file)]
    assert main(command) == 0
    table = capsys.readouterr().out
    assert "fed: size and bytes" in table
    report = json.loads(file.read_text())
    measured = f"on {report['photos']} photos, {report['samples']} examples:\n{table}"
    auc = report["auc"]
    unseen = [key for key, low in _SEEN.items() if auc[key[0]][key[1]][2] < low]
    assert not unseen, f"what is to be hidden should be there, {measured}"
    shown = [key for key, high in _HIDDEN.items() if auc[key[0]][key[1]][1] > high]
    assert not shown, f"should be hidden, {measured}"
    assert report["photos"] <= report["samples"] == 400


def test_wrong_data_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["shortcuts", "nowhere"]) == 1
    assert capsys.readouterr().err.splitlines() == ["aiface-train: nowhere: no such folder or manifest"]
