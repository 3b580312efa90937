"""The teacher's head: a hidden layer on standardised features."""

from __future__ import annotations

import torch
from torch import nn

from aiface_export.networks import ClipBlocksForImageClassification

from ..standardised import standardisation
from .recipe import TeacherRecipe


class TeacherHead(nn.Module):
    """The margin, AI's logit less real's, by a hidden layer with dropout before and behind it.

    Args:
        features: float32 `[N, features]`, of which mean and deviation are taken.
        recipe: Sizes and shares.
    """

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, features: torch.Tensor, recipe: TeacherRecipe) -> None:
        super().__init__()
        mean, deviation = standardisation(features)
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)
        self.input_dropout, self.dropout = nn.Dropout(recipe.input_dropout), nn.Dropout(recipe.dropout)
        self.hidden = nn.Linear(features.shape[1], recipe.hidden_size)
        self.last = nn.Linear(recipe.hidden_size, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return float32 `[N]`."""
        inputs = self.input_dropout((features.float() - self.mean) / self.deviation)
        margins: torch.Tensor = self.last(self.dropout(nn.functional.gelu(self.hidden(inputs))))[:, 0]
        return margins

    def fold_into(self, network: ClipBlocksForImageClassification) -> None:
        """Write the same function, as two logits whose difference is the margin, into the network's head."""
        halves = torch.tensor([-0.5, 0.5], dtype=torch.float64)
        weight = self.hidden.weight.detach().double() / self.deviation.double()
        bias = self.hidden.bias.detach().double() - weight @ self.mean.double()
        last = self.last.state_dict()
        network.load_state_dict({"hidden.0.weight": weight, "hidden.0.bias": bias}, strict=False)
        network.classifier.load_state_dict(
            {"weight": torch.outer(halves, last["weight"][0].double()), "bias": halves * last["bias"].double()}
        )
