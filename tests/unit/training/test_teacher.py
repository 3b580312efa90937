"""The teacher's network, heads on standardised features, and the loop that trains them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from transformers import CLIPVisionConfig, CLIPVisionModel  # noqa: E402

from aiface_evaluation.errors import DataError  # noqa: E402
from aiface_training.loop import Batch, Group, Loop, Schedule  # noqa: E402
from aiface_training.recipe import load_recipe  # noqa: E402
from aiface_training.standardised import StandardisedHead, as_margin  # noqa: E402
from aiface_training.teacher.head import TeacherHead  # noqa: E402
from aiface_training.teacher.network import clip_processor, rows_of, teacher_network  # noqa: E402
from aiface_training.teacher.recipe import TeacherRecipe  # noqa: E402

pytestmark = pytest.mark.torch

_VISION = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "image_size": 32,
}


def test_the_teachers_head_is_folded_into_its_network() -> None:
    changes = ["hidden_size=6", "class_blocks=[1,3]", "patch_blocks=[2]"]
    recipe = load_recipe("clip_teacher", TeacherRecipe, changes)
    tower = CLIPVisionModel(CLIPVisionConfig(**_VISION, patch_size=8))
    network, pixels = teacher_network(tower, recipe), torch.randint(0, 256, (5, 32, 32, 3), dtype=torch.uint8)
    assert len(network.clip.encoder.layers) == 3
    with torch.no_grad():
        rows = rows_of(network, clip_processor(32))(pixels)
        values = clip_processor(32)(list(pixels.permute(0, 3, 1, 2)), return_tensors="pt")["pixel_values"]
        expected = tower(values, output_hidden_states=True).hidden_states
        for position, (block, is_class) in enumerate(((1, True), (3, True), (2, False))):
            ours = rows["features"].float()[:, 32 * position : 32 * (position + 1)]
            theirs = expected[block][:, 0] if is_class else expected[block][:, 1:].mean(1)
            assert torch.nn.functional.cosine_similarity(ours, theirs).min() > 0.999, "rows are in half precision"
        head = TeacherHead(rows["features"].float(), recipe).eval()
        head.fold_into(network)
        margins = as_margin(network(values).logits)
    assert torch.allclose(margins, head(rows["features"]), atol=0.1)
    assert margins.std() > 0.01


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
