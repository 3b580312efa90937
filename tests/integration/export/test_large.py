"""The large model: a teacher without CLIP, composed again with CLIP in every form, and refused where it is wrong."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file, safe_open, save_file  # noqa: E402
from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection  # noqa: E402

from aiface_export.checkpoint_record import CheckpointRecord, FaceThresholds  # noqa: E402
from aiface_export.clip import load_clip  # noqa: E402
from aiface_export.errors import ExportError, SourceError  # noqa: E402
from aiface_export.large.cli import main  # noqa: E402
from aiface_export.large.fingerprint import TOLERANCE, distances, fingerprint  # noqa: E402
from aiface_export.large.head import compose, save_head  # noqa: E402
from aiface_export.large.head_file import HeadFile  # noqa: E402
from aiface_export.networks import ClipBlocksConfig, ClipBlocksForImageClassification  # noqa: E402
from aiface_export.sources.transformers_folder import read_transformers  # noqa: E402
from aiface_export.testing.random_checkpoints import save_family, smooth_pictures  # noqa: E402
from aiface_runtime import Classifier  # noqa: E402
from tests.support.clip_towers import SIDE, random_tower, save_quantised, save_wheel  # noqa: E402

pytestmark = pytest.mark.torch

Change = Callable[[str, torch.Tensor], torch.Tensor]
ROOT = Path(__file__).resolve().parents[3]
_KEPT = 2  # blocks of the tower's three
_FACES = FaceThresholds(present_from=0.5, cell_from=0.4, small_below=0.1)


@pytest.fixture(scope="module")
def tower() -> CLIPVisionModelWithProjection:
    return random_tower()


@pytest.fixture(scope="module")
def wheel(tower: CLIPVisionModelWithProjection, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    return save_wheel(save_quantised(tower, folder / "tower.onnx"), folder / "clip.whl")


def _save_checkpoint(clip_source: str, folder: Path, hidden_size: int = 16) -> Path:
    """Save what training leaves, with a random head in place of a trained one."""
    clip = load_clip(clip_source)
    torch.manual_seed(1)
    config = ClipBlocksConfig(
        vision=clip.config.to_diff_dict() | {"num_hidden_layers": _KEPT},
        class_blocks=[1, 2],
        patch_blocks=[2],
        hidden_size=hidden_size,
        face_block=_KEPT,
        id2label={0: "real", 1: "ai"},
        label2id={"real": 0, "ai": 1},
    )
    network = ClipBlocksForImageClassification(config).eval()
    network.clip.load_state_dict(clip.vision_model.state_dict(), strict=False)
    for name, parameter in network.named_parameters():
        if not name.startswith("clip."):
            parameter.data.normal_(std=0.2)
    network.save_pretrained(folder)
    crop = {"height": SIDE, "width": SIDE}
    CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size=crop).save_pretrained(folder)
    CheckpointRecord(faces=_FACES, licence="Apache-2.0", limits="Random weights: «none»").write(folder)
    return folder


@pytest.fixture(scope="module")
def checkpoint(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _save_checkpoint(str(wheel), tmp_path_factory.mktemp("teacher") / "checkpoint")


@pytest.fixture(scope="module")
def head(checkpoint: Path, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("head") / "aiface-large-head.safetensors"
    assert main(["head", str(checkpoint), str(wheel), "-o", str(file)]) == 0
    return file


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_head_is_all_but_the_tower(head: Path, checkpoint: Path, wheel: Path, tmp_path: Path) -> None:
    assert not [name for name in HeadFile.read(head).weights if name.startswith("clip.")]
    compose(str(wheel), head, tmp_path / "composed")
    found, expected = (load_file(folder / "model.safetensors") for folder in (tmp_path / "composed", checkpoint))
    tower = [name for name in expected if name.startswith("clip.")]
    assert all(torch.equal(found.pop(name), expected.pop(name)) for name in tower)
    torch.testing.assert_close(found, {name: each.half().float() for name, each in expected.items()}, atol=0, rtol=0)
    for name in ("config.json", "preprocessor_config.json", "aiface.json"):
        assert (tmp_path / "composed" / name).read_bytes() == (checkpoint / name).read_bytes()
    assert _names(tmp_path) == ["composed"]


def test_an_evaluation_comes_along_without_its_photos(wheel: Path, tmp_path: Path) -> None:
    checkpoint = _save_checkpoint(str(wheel), tmp_path / "checkpoint")
    shutil.copy(ROOT / "docs/model/evaluation.json", checkpoint)
    save_head(checkpoint, str(wheel), tmp_path / "head.safetensors")
    compose(str(wheel), tmp_path / "head.safetensors", tmp_path / "composed")
    found, expected = (read_transformers(folder).evaluation for folder in (tmp_path / "composed", checkpoint))
    assert found is not None
    assert expected is not None
    assert found != expected
    assert found.to_json() == expected.without_photos().to_json()
    assert (tmp_path / "head.safetensors").stat().st_size < 60_000 + 2 * 16 * 192


def test_the_command_writes_a_model_that_answers_as_the_teacher(
    head: Path, checkpoint: Path, wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, picture in enumerate(smooth_pictures()):
        picture.save(tmp_path / f"{number}.png")
    file = tmp_path / "aiface-large.onnx"
    words = ["compose", str(wheel), "--head", str(head), "-o", str(file), "--images", str(tmp_path)]
    assert main([*words, "--precision", "fp32"]) == 0
    assert capsys.readouterr().out.startswith(f"{file}: ")
    assert main(["wheel", str(file), "-o", str(tmp_path / "dist")]) == 0
    assert (
        _names(tmp_path / "dist") == [Path(capsys.readouterr().out.strip()).name] == ["aiface_large-1-py3-none-any.whl"]
    )
    expected = read_transformers(checkpoint).answers(smooth_pictures())
    with Classifier(file) as classifier:
        found = [classifier.predict(picture).p_ai for picture in smooth_pictures()]
        assert np.ptp(found) > 0.2
        np.testing.assert_allclose(found, expected.probabilities[:, 1], atol=5e-4)  # of the head's half precision
        source = classifier.manifest.document["source"]
        assert source["checkpoint"] == "aiface-large-head.safetensors on clip.whl"
        assert classifier.manifest.document["limits"] == "Random weights: «none»"


@pytest.mark.parametrize("half", [False, True])
def test_the_original_tower_does_as_well_as_its_int8_form(
    half: bool, tower: CLIPVisionModelWithProjection, head: Path, checkpoint: Path, tmp_path: Path
) -> None:
    (tower.half() if half else tower).save_pretrained(tmp_path / "clip")
    tower.float()
    compose(str(tmp_path / "clip"), head, tmp_path / "composed")
    found, expected = (
        read_transformers(folder).answers(smooth_pictures()) for folder in (tmp_path / "composed", checkpoint)
    )
    assert 0 < np.abs(found.probabilities - expected.probabilities).max() < 0.05


def test_a_head_of_the_original_tower_goes_with_its_int8_form(
    tower: CLIPVisionModelWithProjection, wheel: Path, tmp_path: Path
) -> None:
    tower.save_pretrained(tmp_path / "clip")
    save_head(_save_checkpoint(str(tmp_path / "clip"), tmp_path / "trained"), str(tmp_path / "clip"), tmp_path / "head")
    compose(str(wheel), tmp_path / "head", tmp_path / "composed")
    assert (tmp_path / "composed" / "model.safetensors").is_file()


def test_the_tolerance_is_well_above_the_rounding_to_int8(tower: CLIPVisionModelWithProjection, wheel: Path) -> None:
    kept = fingerprint(tower.vision_model.state_dict())
    apart = distances(load_clip(str(wheel)).vision_model.state_dict(), kept)
    assert 0.002 < max(apart.values()) < TOLERANCE / 2


def _other_tower() -> CLIPVisionModelWithProjection:
    return random_tower(seed=1)


def _wider_tower() -> CLIPVisionModelWithProjection:
    return random_tower(hidden_size=96)


def _shallow_tower() -> CLIPVisionModelWithProjection:
    return random_tower(num_hidden_layers=1)


def _damaged_tower() -> CLIPVisionModelWithProjection:
    damaged = random_tower()
    damaged.vision_model.encoder.layers[1].mlp.fc1.bias.data[:16] = 0
    return damaged


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_other_tower, "is not the CLIP that the head was trained on, or damaged: 37 of 37 tensors"),
        (_damaged_tower, "or damaged: 1 of 37 tensors are others (encoder.layers.1.mlp.fc1.bias by"),
        (_wider_tower, "is a CLIP of another size (hidden_size 96)"),
        (_shallow_tower, "is a CLIP of another size (num_hidden_layers 1)"),
    ],
)
def test_another_tower_is_refused_in_one_line(
    make: Callable[[], CLIPVisionModelWithProjection],
    message: str,
    head: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make().save_pretrained(tmp_path / "clip")
    capsys.readouterr()
    words = ["compose", str(tmp_path / "clip"), "--head", str(head), "-o", str(tmp_path / "large.onnx")]
    assert main(words) == 1
    captured = capsys.readouterr()
    (line,) = [line for line in captured.err.splitlines() if line.startswith("aiface-large: ")]
    assert message in line
    assert captured.out == ""
    assert _names(tmp_path) == ["clip"]


def _change(head: Path, file: Path, change: Change, texts: dict[str, str]) -> Path:
    with safe_open(head, "pt") as opened:
        metadata = opened.metadata() | texts
    save_file({name: change(name, each) for name, each in load_file(head).items()}, file, metadata)
    return file


def _same(name: str, tensor: torch.Tensor) -> torch.Tensor:
    return tensor


def _of_other_answers(name: str, tensor: torch.Tensor) -> torch.Tensor:
    return tensor + 0.5 if name == "answers.face_logits" else tensor


def _cut_off(name: str, tensor: torch.Tensor) -> torch.Tensor:
    return tensor[:-3] if name == "weights.classifier.weight" else tensor


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ((_of_other_answers, {}), "composed, its face_logits differ by 0.5"),
        ((_cut_off, {}), "not a file that aiface-large head wrote"),
        ((_same, {"shapes": "{}"}), "its weights do not fit its config.json"),
        ((_same, {"format": "aiface-large-head 2"}), "not a file that aiface-large head wrote (its format is"),
        ((_same, {"tolerances": "["}), "not a file that aiface-large head wrote"),
    ],
)
def test_a_changed_head_file_is_refused(
    change: tuple[Change, dict[str, str]], message: str, head: Path, wheel: Path, tmp_path: Path
) -> None:
    file = _change(head, tmp_path / "head.safetensors", *change)
    with pytest.raises(SourceError, match=r"^[^\n]+$") as raised:
        compose(str(wheel), file, tmp_path / "composed")
    assert message in str(raised.value)
    assert _names(tmp_path) == ["head.safetensors"]


def test_what_is_no_head_file_is_refused(wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.safetensors").write_text("no")
    for name, message in (("text.safetensors", "not a file that aiface-large head wrote"), ("none", "no such file")):
        assert main(["compose", str(wheel), "--head", str(tmp_path / name)]) == 1
        assert message in capsys.readouterr().err


def test_the_head_of_the_release_is_the_default(
    wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is for a tower of another size, where this release has one."""
    assert main(["compose", str(wheel), "-o", str(tmp_path / "large.onnx")]) == 1
    _, line = capsys.readouterr().err.splitlines()
    assert "aiface-large-head.safetensors: no such file" in line or "is a CLIP of another size" in line


def test_a_checkpoint_of_another_tower_gives_no_head(checkpoint: Path, tmp_path: Path) -> None:
    random_tower(seed=1).save_pretrained(tmp_path / "clip")
    with pytest.raises(SourceError, match=r"is not the CLIP that the head was trained on"):
        save_head(checkpoint, str(tmp_path / "clip"), tmp_path / "head.safetensors")
    assert _names(tmp_path) == ["clip"]


def test_a_head_that_half_precision_does_not_hold_is_not_written(wheel: Path, tmp_path: Path) -> None:
    checkpoint = _save_checkpoint(str(wheel), tmp_path / "checkpoint")
    weights = load_file(checkpoint / "model.safetensors")
    weights["classifier.bias"][:] = 1e5
    save_file(weights, checkpoint / "model.safetensors", {"format": "pt"})
    with pytest.raises(SourceError, match=r"checkpoint: composed, its logits differ by inf from the trained network's"):
        save_head(checkpoint, str(wheel), tmp_path / "head.safetensors")
    assert _names(tmp_path) == ["checkpoint"]


def test_another_network_gives_no_head(wheel: Path, tmp_path: Path) -> None:
    save_family("vit", tmp_path / "vit", small=True)
    with pytest.raises(SourceError, match=r"is ViTForImageClassification, not a checkpoint that aiface-train teacher"):
        save_head(tmp_path / "vit", str(wheel), tmp_path / "head.safetensors")


def test_a_head_of_more_than_three_megabytes_is_not_written(wheel: Path, tmp_path: Path) -> None:
    large = _save_checkpoint(str(wheel), tmp_path / "large", hidden_size=12_000)
    with pytest.raises(ExportError, match=r"more than 3 MB; train a smaller head"):
        save_head(large, str(wheel), tmp_path / "head.safetensors")
    assert _names(tmp_path) == ["large"]


def test_clip_writes_a_folder_once(wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "new" / "clip"
    assert main(["clip", str(wheel), "-o", str(folder)]) == 0
    assert capsys.readouterr().out == f"{folder}\n"
    torch.testing.assert_close(load_clip(str(folder)).state_dict(), load_clip(str(wheel)).state_dict(), atol=0, rtol=0)
    assert main(["clip", str(wheel), "-o", str(folder)]) == 1
    assert "is there already" in capsys.readouterr().err
    assert _names(folder.parent) == ["clip"]
