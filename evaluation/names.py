"""Names that the command line, the JSON and the code share; nothing heavy is imported for them."""

from __future__ import annotations

LABELS = ("real", "ai")  # in output order, as in the reference ResNet
SPLITS = ("train", "val", "test")
ALL = "all"  # the split of photos that belong to none
CONDITION_NAMES = ("clean", "web", "hard")
GENERATED = "generated"  # the kind of AI photo in which nothing was photographed; headline figures are of it
DEFAULT = "balanced"  # the operating point that the runtime takes unless told otherwise
