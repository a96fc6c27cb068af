"""What the network is trained to say, and how much each noise level counts."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dtool.errors import UsageError
from dtool.samplers.rule import Prediction
from dtool.schedulers.schedule import Schedule
from dtool.training.loss_weights import Weighting, compute_weights


def training_target(prediction: Prediction, x0: Tensor, eps: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """What the network should answer, (B, *).

    v = alpha eps - sigma x0 (arXiv:2202.00512, appendix D); flow = eps - x0 (arXiv:2209.03003, eq. 1).
    """
    if prediction == "eps":
        return eps
    if prediction == "x0":
        return x0
    if prediction == "flow":
        return eps - x0
    return alpha * eps - sigma * x0


class Loss:
    """The weighted mean squared error of one batch.

    `simple` weighs all times alike (DDPM eq. 14, on the predicted quantity). The other weightings are those of
    `dtool.training.loss_weights` up to one constant factor: they are scaled to a mean of 1, so that learning rate and
    clipping keep their meaning.
    """

    def __init__(
        self, schedule: Schedule, prediction: Prediction, weighting: Weighting = "simple", gamma: float | None = None
    ) -> None:
        if prediction == "eps" and schedule.alpha[-1] == 0:
            raise UsageError(
                "this schedule ends in pure noise, where an eps-network says nothing about the image",
                "train with --prediction v or x0",
            )
        weights = compute_weights(weighting, schedule, prediction, gamma)
        self.prediction = prediction
        self._table = torch.tensor(np.stack([schedule.alpha, schedule.sigma, weights / weights.mean()])).float()

    def to(self, device: torch.device) -> Loss:
        """Move the table to a device."""
        self._table = self._table.to(device)
        return self

    @property
    def device(self) -> torch.device:
        """Where the table is."""
        return self._table.device

    def add_noise(self, x0: Tensor, eps: Tensor, t: Tensor) -> Tensor:
        """x_t (B, *) for integer times t (B,): Algorithm 1, the network's input."""
        alpha, sigma, _ = self._rows(t, x0.dim())
        return alpha * x0 + sigma * eps

    def __call__(self, output: Tensor, x0: Tensor, eps: Tensor, t: Tensor) -> Tensor:
        """The loss, a scalar, from the network's output (B, *)."""
        return self.compute_per_image(output, x0, eps, t).mean()

    def compute_per_image(self, output: Tensor, x0: Tensor, eps: Tensor, t: Tensor) -> Tensor:
        """The loss of each image (B,), from the network's output (B, *)."""
        alpha, sigma, weight = self._rows(t, x0.dim())
        error = output.float() - training_target(self.prediction, x0, eps, alpha, sigma)
        return (weight * error.square()).flatten(1).mean(1)

    def _rows(self, t: Tensor, dim: int) -> tuple[Tensor, Tensor, Tensor]:
        alpha, sigma, weight = self._table[:, t].reshape(3, -1, *[1] * (dim - 1))
        return alpha, sigma, weight
