"""A training loop for networks of which only some parts learn, at rates of their own: cut off, it goes on where it was.

transformers' Trainer serves where a whole network is tuned at one rate and the best state is kept. Here the weights
are averaged exponentially instead, frozen statistics stay frozen, and a loss may need several views of a photo.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from tqdm import tqdm

from aiface_evaluation.errors import DataError
from aiface_runtime.files import atomic_write

from .checkpoint import has_bfloat16

Batch: TypeAlias = Mapping[str, torch.Tensor]
Loss: TypeAlias = Callable[[Batch], torch.Tensor]

_STATE = "state.pt"
_STEPS_BETWEEN_STATES = 50
_MAX_GRADIENT = 1.0  # norm that the gradient is cut to
_AVERAGE_DECAY = 0.99


@dataclass(frozen=True, kw_only=True)
class Group:
    """Parameters that learn at one rate.

    Attributes:
        parameters: The parameters by name.
        learning_rate: Peak of the schedule, above 0.
    """

    parameters: Mapping[str, nn.Parameter]
    learning_rate: float


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long a run takes and how its rates rise and fall.

    Attributes:
        steps: Number of batches.
        warmup: Steps in which the rates rise linearly; then they fall to 0 by a cosine.
        weight_decay: Weight decay of AdamW, at least 0.
        bf16: Whether to compute in bfloat16 where the device has it.
    """

    steps: int
    warmup: int = 30
    weight_decay: float = 0.01
    bf16: bool = True

    def rate(self, step: int) -> float:
        """Return the share of the peak that the rates have at a step, 0 to 1."""
        rise = min(1.0, (step + 1) / max(1, self.warmup))
        return rise * 0.5 * (1 + math.cos(math.pi * min(1.0, step / self.steps)))


@dataclass
class _State:
    step: int = 0
    average: dict[str, torch.Tensor] = field(default_factory=dict)


class Loop:
    """A run.

    Args:
        groups: Parameters that learn.
        schedule: For how long.
        folder: Folder of the run's state until it ends.
        constants: Settings that must be the same for a state to be gone on from, as JSON takes them.
    """

    def __init__(
        self, groups: Sequence[Group], schedule: Schedule, folder: Path, constants: Mapping[str, Any] | None = None
    ) -> None:
        self._schedule, self._file, self._constants = schedule, folder / _STATE, dict(constants or {})
        self._parameters = {name: each for group in groups for name, each in group.parameters.items()}
        settings = [{"params": list(group.parameters.values()), "lr": group.learning_rate} for group in groups]
        self._optimizer = torch.optim.AdamW(settings, weight_decay=schedule.weight_decay)
        self._rates = LambdaLR(self._optimizer, schedule.rate)
        self._state = _State(average={name: each.detach().clone() for name, each in self._parameters.items()})
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def step(self) -> int:
        """Number of batches that were learned from."""
        return self._state.step

    def resume(self) -> None:
        """Go on from the state of a run that was cut off, if there is one.

        Raises:
            DataError: It is the state of a run with other constants.
        """
        if not self._file.is_file():
            return
        saved = torch.load(self._file, weights_only=True)
        if saved["constants"] != self._constants:
            raise DataError(f"{self._file}: is of a run with another recipe; remove it or name another folder")
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                parameter.copy_(saved["parameters"][name])
        self._optimizer.load_state_dict(saved["optimizer"])
        self._rates.load_state_dict(saved["rates"])
        self._state = _State(saved["step"], saved["average"])

    def run(self, batches: Iterable[Batch], loss: Loss) -> None:
        """Learn from the batches that are left, then give the parameters their averages.

        Args:
            batches: Batches from `step` on.
            loss: Gives the loss of a batch, float32.
        """
        bf16 = self._schedule.bf16 and has_bfloat16()
        progress = tqdm(batches, total=self._schedule.steps, initial=self.step, unit="step")
        for batch in progress:
            with torch.autocast("cuda" if torch.cuda.is_available() else "cpu", torch.bfloat16, enabled=bf16):
                value = loss(batch)
            self._learn(value)
            progress.set_postfix(loss=f"{value.item():.3f}", refresh=False)
            if self.step % _STEPS_BETWEEN_STATES == 0:
                self._save()
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                parameter.copy_(self._state.average[name])

    def remove(self) -> None:
        """Remove the state, once what was learned is kept elsewhere."""
        self._file.unlink(missing_ok=True)

    def _learn(self, value: torch.Tensor) -> None:
        self._optimizer.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._parameters.values(), _MAX_GRADIENT)
        self._optimizer.step()
        self._rates.step()
        self._state.step += 1
        # Shorter at the start, so that the average does not hang on the first weights.
        decay = min(_AVERAGE_DECAY, self.step / (self.step + 10))
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                self._state.average[name].lerp_(parameter, 1 - decay)

    def _save(self) -> None:
        state = {
            "constants": self._constants,
            "parameters": {name: parameter.detach() for name, parameter in self._parameters.items()},
            "optimizer": self._optimizer.state_dict(),
            "rates": self._rates.state_dict(),
            "step": self.step,
            "average": self._state.average,
        }
        with atomic_write(self._file) as draft:
            torch.save(state, draft)
