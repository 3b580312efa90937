"""Adapters, the head on standardised features, and the loop that trains them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file  # noqa: E402

from aiface_evaluation.errors import DataError  # noqa: E402
from aiface_export.networks import ClipBlocksConfig, ClipBlocksForImageClassification  # noqa: E402
from aiface_training.loop import Batch, Group, Loop, Schedule  # noqa: E402
from aiface_training.standardised import StandardisedHead, as_margin  # noqa: E402
from aiface_training.teacher.adapters import ADAPTERS, add_adapters, save_and_merge  # noqa: E402
from aiface_training.teacher.network import Teacher  # noqa: E402

pytestmark = pytest.mark.torch

_VISION = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "image_size": 32,
}


def _network() -> ClipBlocksForImageClassification:
    torch.manual_seed(0)
    config = ClipBlocksConfig(vision={**_VISION, "patch_size": 8}, class_blocks=[1, 3], patch_blocks=[2], face_block=3)
    return ClipBlocksForImageClassification(config).eval()


def test_merged_adapters_answer_as_adapters_do(tmp_path: Path) -> None:
    network, pixels = _network(), torch.randn(2, 3, 32, 32)
    before = network(pixels).logits.detach()
    adapters = add_adapters(network, [2, 3], rank=4)
    assert len(adapters) == 2 * 6 * 2
    assert torch.equal(network(pixels).logits, before), "at first they change nothing"
    for parameter in adapters.values():
        parameter.data.normal_(std=0.2)
    adapted = network(pixels).logits.detach()
    assert not torch.allclose(adapted, before, atol=1e-3)
    save_and_merge(network, tmp_path)
    assert torch.allclose(network(pixels).logits, adapted, atol=2e-3), "but for the half precision that is kept"
    assert set(load_file(tmp_path / ADAPTERS)) == set(adapters)
    assert set(network.state_dict()) == set(_network().state_dict())


def test_the_teacher_in_two_parts_answers_as_the_network() -> None:
    from transformers import CLIPImageProcessor

    network, processor = (
        _network(),
        CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}),
    )
    pixels = torch.randint(0, 256, (2, 32, 32, 3), dtype=torch.uint8)
    teacher = Teacher(network, frozen_blocks=2)
    values = processor(list(pixels.permute(0, 3, 1, 2)), return_tensors="pt")["pixel_values"]
    with torch.inference_mode():
        rows = {name: each.float() for name, each in teacher.lower(processor)(pixels).items()}
        expected = network.features(network.blocks(values))
        assert torch.allclose(teacher.features(rows), expected, atol=0.05), "rows are kept in half precision"
        assert torch.nn.functional.cosine_similarity(teacher.features(rows), expected).min() > 0.9999


def test_a_folded_head_gives_the_same_margin() -> None:
    rng = np.random.default_rng(0)
    features = torch.from_numpy(rng.normal(3.0, [1, 10, 0.1, 0], size=(400, 4))).float()
    targets = (features[:, 1] + 10 * features[:, 2] > 33).numpy().astype(int)
    head, layer = StandardisedHead(features), torch.nn.Linear(4, 2)
    head.fit(features, targets, np.ones(400), inverse_penalty=1.0)
    margins = head(features)
    assert (((margins > 0).numpy() == targets).mean()) > 0.95
    head.fold_into(layer)
    assert torch.allclose(as_margin(layer(features)), margins, atol=1e-3)


class _CutError(Exception):
    """Ends a run in the middle."""


def test_a_run_that_was_cut_off_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    def train(folder: Path, stop: int | None = None, recipe: int = 1) -> torch.Tensor:
        torch.manual_seed(1)
        layer = torch.nn.Linear(3, 1)
        group = Group(parameters=dict(layer.named_parameters()), learning_rate=0.05)
        loop = Loop([group], Schedule(steps=120, bf16=False), folder, {"recipe": recipe})
        loop.resume()

        def batches() -> Iterator[Batch]:
            for step in range(loop.step, 120):
                if step == stop:
                    raise _CutError
                yield {"x": torch.from_numpy(np.random.default_rng(step).normal(size=(8, 3))).float()}

        loop.run(batches(), lambda batch: (layer(batch["x"]) - batch["x"][:, :1]).square().mean())
        return layer.weight.detach()

    whole = train(tmp_path / "whole")
    with pytest.raises(_CutError):
        train(tmp_path / "cut", stop=77)
    with pytest.raises(DataError, match="another recipe"):
        train(tmp_path / "cut", recipe=2)
    assert torch.equal(train(tmp_path / "cut"), whole)
    assert abs(float(whole[0, 0]) - 1) < 0.1
