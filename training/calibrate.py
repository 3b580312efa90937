"""Temperature scaling (Guo et al., 2017), fitted on val and folded into the classifier's own weights."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from transformers import PreTrainedModel


def fit_temperature(logits: NDArray[np.float64], targets: NDArray[np.int_]) -> float:
    """The temperature that minimises the balanced negative log likelihood.

    Args:
        logits: float64 `[N, 2]`.
        targets: int `[N]`, 0 for real, 1 for AI; each class weighs the same whatever its share.

    Returns:
        Temperature, 0.05 to 20; probabilities are `softmax(logits / temperature)`.
    """
    wrong_by = np.where(targets == 1, logits[:, 0] - logits[:, 1], logits[:, 1] - logits[:, 0])
    weights = 0.5 / np.bincount(targets, minlength=2)[targets]

    def loss(log_temperature: float) -> float:
        return float(weights @ np.logaddexp(0.0, wrong_by / np.exp(log_temperature)))

    return float(np.exp(minimize_scalar(loss, bounds=np.log([0.05, 20.0]), method="bounded").x))


def fold_temperature(model: PreTrainedModel, logits: NDArray[np.float64], targets: NDArray[np.int_]) -> float:
    """Divide the last linear layer by the fitted temperature, so that the checkpoint itself answers calibrated.

    Whoever loads the folder, with this project or with transformers alone, then gets the same probabilities.
    """
    temperature = fit_temperature(logits, targets)
    with torch.no_grad():
        for parameter in model.classifier.parameters():
            parameter /= temperature
    return temperature
