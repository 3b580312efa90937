"""Which photos a run sees, in which order, and which of them are augmented alike."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from aiface_evaluation.dataset import Sample
from aiface_training.data.sampling import EpochSampler, PairedSampler
from aiface_training.recipe import FinetuneRecipe, load_recipe

pytestmark = pytest.mark.torch


def test_examples_are_balanced_by_label_and_softened_by_source() -> None:
    counts = {("real", "a"): 900, ("real", "b"): 100, ("ai", "c"): 25}
    samples = [
        Sample(Path(f"{source}{n}"), label, source) for (label, source), count in counts.items() for n in range(count)
    ]
    sampled = Counter(
        (samples[example.sample].label, samples[example.sample].source)
        for example in PairedSampler(samples, 4000, reconstructions=0.5, weak=1.0, weak_pairs=(1.0, 1.0), seed=1)
    )
    assert sampled["ai", "c"] == 2000
    assert sampled["real", "a"] == pytest.approx(
        1500, rel=0.1
    )  # three times b's, the square root of nine times as many
    assert sampled["real", "b"] == pytest.approx(500, rel=0.1)


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    """20 real photos, reconstructions of 10 of them, and 10 other AI ones."""
    reals = [Sample(Path(f"r{n}"), "real", "r") for n in range(20)]
    reconstructions = [Sample(Path(f"t{n}"), "ai", "t", original=Path(f"r{n}")) for n in range(10)]
    return [*reals, *reconstructions, *(Sample(Path(f"a{n}"), "ai", "a") for n in range(10))]


def test_a_reconstruction_comes_with_its_original_under_the_same_augmentation(samples: list[Sample]) -> None:
    sampler = PairedSampler(samples, 4000, reconstructions=0.4, weak=0.0, weak_pairs=(0.5, 0.0), seed=1)
    examples = list(sampler)
    assert examples == list(sampler), "the seed decides"
    pairs = [pair for pair in zip(examples[::2], examples[1::2], strict=True) if samples[pair[0].sample].original]
    assert len(pairs) == pytest.approx(800, rel=0.1)
    assert all(samples[ai.sample].original == samples[real.sample].path for ai, real in pairs)
    assert all(ai[1:] == real[1:] for ai, real in pairs)
    assert sum(example.weak for example in examples) == 2 * sum(ai.weak for ai, _ in pairs), "only pairs are weak"
    early, late = (sum(ai.weak for ai, _ in half) for half in (pairs[:400], pairs[400:]))
    assert early > 1.5 * late > 0


def test_a_recipe_says_how_examples_are_sampled(samples: list[Sample]) -> None:
    recipe = load_recipe("mobilenetv2", FinetuneRecipe, ["seed=5", "augmentation.weak=0.25"])
    shares = (recipe.augmentation.weak, recipe.augmentation.weak_pairs)
    expected = PairedSampler(samples, 400, reconstructions=0.25, weak=0.25, weak_pairs=shares[1], seed=5)
    sampler = PairedSampler.from_recipe(samples, recipe, 400, reconstructions=recipe.reconstructions)
    assert shares[0] == 0.25
    assert list(sampler) == list(expected)


def test_an_epoch_has_the_same_examples_whenever_it_begins(samples: list[Sample]) -> None:
    examples = list(PairedSampler(samples, 40, reconstructions=0.4, weak=0.0, weak_pairs=(0.5, 0.0), seed=1))
    sampler, resumed = EpochSampler(examples, 4), EpochSampler(examples, 4)
    parts = []
    for epoch in range(4):
        sampler.epoch = epoch
        parts.append(list(sampler))
        assert len(parts[-1]) == len(sampler) == 10
    assert [example for part in parts for example in part] == examples
    resumed.epoch = 2  # a resumed run has not been through the epochs before
    assert list(resumed) == parts[2]
