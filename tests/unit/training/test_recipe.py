"""Recipes: those that come along, and what is said of one that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiface_evaluation.errors import DataError
from aiface_training.distillation.recipe import StudentRecipe
from aiface_training.recipe import RECIPES, BaseRecipe, FinetuneRecipe, ReferenceRecipe, load_recipe
from aiface_training.teacher.recipe import TeacherRecipe

_KINDS: dict[str, type[BaseRecipe]] = {
    "reference_resnet": ReferenceRecipe,
    "clip_teacher": TeacherRecipe,
    "efficientnet_lite0": StudentRecipe,
    "swin_tiny_distilled": StudentRecipe,
}


@pytest.mark.parametrize("file", sorted(RECIPES.glob("*.toml")), ids=lambda file: file.stem)
def test_recipes_that_come_along_are_valid(file: Path) -> None:
    recipe = load_recipe(file.stem, _KINDS.get(file.stem, FinetuneRecipe))
    assert recipe.image_size == 224
    assert recipe.to_json().keys() >= {"seed", "bf16"}
    assert "limits" not in recipe.to_json()


def test_the_augmentation_has_the_size_of_the_input_unless_it_says_otherwise() -> None:
    assert load_recipe("swin_tiny", FinetuneRecipe).augmentation.size == 224
    assert load_recipe("mobilenetv2", FinetuneRecipe).augmentation.size == 192


def test_changes_override_the_file() -> None:
    changes = ["samples=9600", 'freeze=["a."]', "augmentation.weak_pairs=[0.3,0.1]", "learning_rate=1"]
    recipe = load_recipe("mobilenetv2", FinetuneRecipe, changes)
    assert (recipe.samples, recipe.freeze, recipe.learning_rate) == (9600, ("a.",), 1.0)
    assert recipe.augmentation.weak_pairs == (0.3, 0.1)
    assert recipe.augmentation.min_size == 112, "the rest of the table stays"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("cutmix=1.5", "cutmix: Input should be less than or equal to 1 (it is 1.5)"),
        ("samples=0", "samples: Input should be greater than 0 (it is 0)"),
        ('samples="many"', "samples: Input should be a valid integer (it is 'many')"),
        ("bf16=1", "bf16: Input should be a valid boolean (it is 1)"),
        ("samples=8", "8 samples are less than one batch of 32"),
        ("augmentation.weak=-0.1", "augmentation.weak: Input should be greater than or equal to 0 (it is -0.1)"),
        ("augmentation.weak_pairs=[0.5]", "augmentation.weak_pairs.1 is missing"),
        ("augmentation.resize_range=[256, 192]", "resize_range [256, 192]: the smaller size comes first"),
        ("colour=1", "colour: no such key"),
        ("twins=0.0", "twins is now called reconstructions"),
        ("chain.gentle=0.5", "chain is now called augmentation; chain.gentle is now called augmentation.weak"),
        ("augmentation.small=96", "augmentation.small is now called augmentation.min_size"),
        ("augmentation.recode=0.5", "augmentation.recode is now called augmentation.recompression"),
        ("augmentation.style=0.5", "augmentation.style is now called augmentation.colour_jitter"),
    ],
)
def test_a_wrong_value_names_file_and_field_in_one_line(change: str, says: str) -> None:
    with pytest.raises(DataError) as caught:
        load_recipe("mobilenetv2", FinetuneRecipe, [change])
    message = str(caught.value)
    assert message.startswith(f"{RECIPES / 'mobilenetv2.toml'}: ")
    assert says in message
    assert "\n" not in message


def test_what_is_no_recipe_says_so(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match="give one of clip_teacher, efficientnet_lite0, mobilenetv2, mobilenetv2_fine, reference_resnet"
    ):
        load_recipe("nowhere", FinetuneRecipe)
    (tmp_path / "text.toml").write_text("not TOML")
    (tmp_path / "empty.toml").write_text("")
    (tmp_path / "latin.toml").write_bytes(b'licence = "\xe9"')
    for name, says in (
        ("text", "not TOML"),
        ("empty", "image_size is missing; bf16 is missing"),
        ("latin", "UTF-8"),
    ):
        with pytest.raises(DataError, match=says) as caught:
            load_recipe(str(tmp_path / f"{name}.toml"), FinetuneRecipe)
        assert f"{name}.toml" in str(caught.value)
    with pytest.raises(DataError, match="--set samples: not TOML"):
        load_recipe("mobilenetv2", FinetuneRecipe, ["samples"])
    with pytest.raises(DataError, match=r"width: no such key|width is missing"):
        load_recipe("mobilenetv2", ReferenceRecipe)
