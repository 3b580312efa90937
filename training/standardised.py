"""A linear head on features of very different sizes."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.nn import functional

_MIN_DEVIATION = 1e-6  # of a feature that hardly moves, such as a channel that is always 0


def standardisation(features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and deviation of each feature, float32 `[features]`."""
    return features.mean(0), features.std(0).clamp_min(_MIN_DEVIATION)


class StandardisedHead(nn.Module):
    """The margin, AI's logit less real's, as a linear function of standardised features.

    Args:
        features: float32 `[N, features]`, of which mean and deviation are taken.
    """

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, features: torch.Tensor) -> None:
        super().__init__()
        mean, deviation = standardisation(features)
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)
        self.weight = nn.Parameter(torch.zeros(features.shape[1]))
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return float32 `[N]`."""
        margin: torch.Tensor = self.standardised(features) @ self.weight + self.bias
        return margin

    def standardised(self, features: torch.Tensor) -> torch.Tensor:
        """Return float32 `[N, features]` of mean 0 and deviation 1 on what the head was made of."""
        return (features.float() - self.mean) / self.deviation

    def fit(
        self, features: torch.Tensor, targets: NDArray[np.int_], weights: NDArray[np.float64], inverse_penalty: float
    ) -> None:
        """Set the weights by logistic regression.

        Args:
            features: float32 `[N, features]`.
            targets: `[N]`, 1 for AI.
            weights: `[N]`, weight of each row, with mean 1.
            inverse_penalty: scikit-learn's `C`.
        """
        inputs = self.standardised(features).numpy()
        regression = LogisticRegression(C=inverse_penalty, max_iter=300).fit(inputs, targets, sample_weight=weights)
        with torch.no_grad():
            self.weight.copy_(torch.from_numpy(regression.coef_[0]))
            self.bias.copy_(torch.tensor(regression.intercept_[0]))

    def fold_into(self, layer: nn.Linear) -> None:
        """Write the same function as two logits, whose difference is the margin, into a layer on plain features."""
        weight = (self.weight / self.deviation).detach().double()
        bias = self.bias.detach().double() - weight @ self.mean.double()
        halves = torch.tensor([-0.5, 0.5], dtype=torch.float64)
        with torch.no_grad():
            layer.weight.copy_(torch.outer(halves, weight))
            layer.bias.copy_(halves * bias)


def as_margin(logits: torch.Tensor) -> torch.Tensor:
    """Return AI's logit less real's, float32 `[N]`, of logits `[N, 2]`."""
    return (logits[:, 1] - logits[:, 0]).float()


def soft_cross_entropy(margin: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """Return the mean cross-entropy of margins `[N]` with shares of AI `[N]`, 0 to 1."""
    return functional.binary_cross_entropy_with_logits(margin, shares)


def smoothed(shares: torch.Tensor, smoothing: float) -> torch.Tensor:
    """Spread a share of each target, `[N]` from 0 to 1, over both labels."""
    return shares * (1 - smoothing) + smoothing / 2
