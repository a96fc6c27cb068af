"""What the network is trained to say, and how much each noise level counts."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dtool.errors import UsageError
from dtool.samplers.rule import Prediction
from dtool.schedulers.schedule import Schedule

Weighting = Literal["simple", "vlb"]


def target(prediction: Prediction, x0: Tensor, eps: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
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


def vlb_weights(schedule: Schedule, prediction: Prediction) -> NDArray[np.float64]:
    """The weight (T,) of the squared error of the predicted quantity in L_{t-1}, nats (DDPM eq. 12 with σ_t² = β_t).

    In the paper's terms, where ᾱ = alpha²: β²/(2σ²α(1-ᾱ)) for eps, which is β/(2α(1-ᾱ)). An error of eps is alpha/sigma
    times one of x0, and alpha times one of v (alpha² + sigma² = 1), hence the other two.
    """
    signal, noise = schedule.alpha**2, schedule.sigma**2
    before = np.concatenate([[1.0], signal[:-1]])
    beta = 1 - signal / before
    x0 = beta * before / (2 * noise**2)
    factor = {
        "x0": 1.0,
        "v": noise,
        "eps": noise / np.where(signal > 0, signal, np.nan),
        "flow": noise / (schedule.alpha + schedule.sigma) ** 2,
    }[prediction]
    weights: NDArray[np.float64] = x0 * factor
    return weights


class Loss:
    """The weighted mean squared error of one batch.

    `simple` weighs all times alike (DDPM eq. 14, on the predicted quantity). `vlb` is the variational bound up to one
    constant factor: its weights are scaled to a mean of 1, so that learning rate and clipping keep their meaning.
    """

    def __init__(self, schedule: Schedule, prediction: Prediction, weighting: Weighting = "simple") -> None:
        if prediction == "eps" and schedule.alpha[-1] == 0:
            raise UsageError(
                "this schedule ends in pure noise, where an eps-network says nothing about the image",
                "train with --prediction v or x0",
            )
        if weighting == "vlb" and schedule.coordinates != "vp":
            raise UsageError(
                f"the variational weights are of a variance-preserving schedule, not {schedule.coordinates}",
                "train with --loss simple",
            )
        weights = np.ones_like(schedule.alpha) if weighting == "simple" else vlb_weights(schedule, prediction)
        self.prediction = prediction
        self._table = torch.tensor(np.stack([schedule.alpha, schedule.sigma, weights / weights.mean()])).float()

    def to(self, device: torch.device) -> Loss:
        """Move the table to a device."""
        self._table = self._table.to(device)
        return self

    def noisy(self, x0: Tensor, eps: Tensor, t: Tensor) -> Tensor:
        """x_t (B, *) for integer times t (B,): Algorithm 1, the network's input."""
        alpha, sigma, _ = self._rows(t, x0.dim())
        return alpha * x0 + sigma * eps

    def __call__(self, output: Tensor, x0: Tensor, eps: Tensor, t: Tensor) -> Tensor:
        """The loss, a scalar, from the network's output (B, *)."""
        alpha, sigma, weight = self._rows(t, x0.dim())
        error = output.float() - target(self.prediction, x0, eps, alpha, sigma)
        return (weight * error.square()).mean()

    def _rows(self, t: Tensor, dim: int) -> tuple[Tensor, Tensor, Tensor]:
        alpha, sigma, weight = self._table[:, t].reshape(3, -1, *[1] * (dim - 1))
        return alpha, sigma, weight
