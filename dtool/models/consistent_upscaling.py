"""Upscaling whose result, made small again, is what it was made of, whatever the network says.

Let A be the mean of squares of N x N pixels and A⁺ the repetition of a pixel N x N times. A picture x0 with A x0 = y
is A⁺y + d with A d = 0: the network has a say in d alone (range and null space: arXiv:2212.00490, eq. 8 to 13). It is
told, and answers, the difference from a guess, in units of what is not known at the level (preconditioning:
arXiv:2206.00364, section 5): with d ~ N(guess, s²) and x = α·x0 + σ·ε,

    x0 = guess + s²α/(s²α² + σ²)·(x - α·guess) + sσ/√(s²α² + σ²)·F,

so that a network which says 0 draws, from pure noise, the guess: bicubic interpolation, made consistent. Where there is
noise of deviation τ on y, the mean of a square is not known either: the same formula with τ in the place of s, and, in
that of σ, σ/N, the deviation of the mean of N² numbers. At τ = 0 it is y.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the customary name
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from dtool.models.torch_levels import interpolate_levels
from dtool.models.unet_conditions import PictureInput
from dtool.samplers.rule import BasicPrediction
from dtool.schedulers.level_tables import MAX_STEPS
from dtool.schedulers.levels import Coordinates
from dtool.schedulers.schedule import Schedule

TINY = 1e-12  # in the place of a variance of 0
HIGHEST = 0.99  # level of noise on the small picture: at 1 there is none of it left


class UpscalingConfig(BaseModel):
    """What fixes a `ConsistentUpscaling`; plain JSON, part of the network's configuration.

    `low` and `level` are names of conditions, `times` is the number of the schedule's steps, `deviation` is s.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: str = Field(max_length=100)
    level: str | None = Field(None, max_length=100)
    factor: int = Field(ge=2, le=64)
    prediction: BasicPrediction
    coordinates: Coordinates
    times: int = Field(gt=0, le=MAX_STEPS)
    deviation: float = Field(gt=0, le=2, description="of the pictures from the guess, pixels in -1 … 1")

    def require_conditions(self, channels: int, pictures: Sequence[PictureInput], numbers: Sequence[str]) -> None:
        """Raise ValueError unless a network of pictures of so many channels takes `low` and `level`."""
        own = PictureInput(name=self.low, channels=channels, factor=self.factor)
        if own not in pictures or (self.level is not None and self.level not in numbers):
            raise ValueError(f"an upscaler by {self.factor} takes {self.low} of {channels} channels, and its level")


def shrink(pictures: Tensor, factor: int) -> Tensor:
    """A: pictures (B, C, H, W) → the means of squares of factor² pixels, (B, C, H/factor, W/factor)."""
    return F.avg_pool2d(pictures, factor)


def enlarge(low: Tensor, factor: int) -> Tensor:
    """A⁺: each pixel of low (B, C, h, w) factor² times, (B, C, h·factor, w·factor)."""
    height, width = low.shape[-2:]
    return F.interpolate(low, size=(height * factor, width * factor), mode="nearest")


def make_consistent(pictures: Tensor, low: Tensor, factor: int) -> Tensor:
    """Pictures (B, C, H, W) moved so that, made small, they are `low`, (B, C, H/factor, W/factor) in -1 … 1.

    What differs from `low` within a square is scaled down, if it must be, until no pixel is beyond -1 … 1.
    """
    inside = pictures - enlarge(shrink(pictures, factor), factor)
    above, below = F.max_pool2d(inside, factor), F.max_pool2d(-inside, factor)
    room = torch.minimum((1 - low) / above.clamp(min=TINY), (1 + low) / below.clamp(min=TINY)).clamp(0.0, 1.0)
    return enlarge(low, factor) + enlarge(room, factor) * inside


def guess_picture(low: Tensor, factor: int) -> Tensor:
    """`low` (B, C, h, w) in -1 … 1, enlarged by bicubic interpolation and made consistent, (B, C, H, W)."""
    height, width = low.shape[-2:]
    size = (height * factor, width * factor)
    large = F.interpolate(low, size=size, mode="bicubic", align_corners=False)
    return make_consistent(large, low, factor)


@dataclass(frozen=True, kw_only=True)
class Anchor:
    """What is known before the network is called.

    input: its input in the place of x, guess: in the place of `low`, both (B, C, H, W); x as it was given; low
    (B, C, h, w) without the factor that noise brings, its noise's deviation τ, and α and σ, all (B, 1, 1, 1).
    """

    input: Tensor
    guess: Tensor
    x: Tensor
    low: Tensor
    noise: Tensor
    alpha: Tensor
    sigma: Tensor


class ConsistentUpscaling(nn.Module):
    """Stands around a network F: `begin` makes its input, `finish` makes the prediction of its answer.

    The schedule's α and σ are a part of the weights: `set_schedule` gives them.
    """

    levels: Tensor

    def __init__(self, config: UpscalingConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("levels", torch.zeros(2, config.times))

    def set_schedule(self, schedule: Schedule) -> None:
        """The levels of the schedule that the network is trained under."""
        self.levels.copy_(torch.from_numpy(np.stack([schedule.alpha, schedule.sigma])))

    def begin(self, x: Tensor, t: Tensor, told: Mapping[str, Tensor]) -> Anchor:
        """From x (B, C, H, W) at times t (B,) and the conditions."""
        config = self.config
        alpha, sigma = (n[:, None, None, None] for n in interpolate_levels(self.levels, t, config.coordinates))
        low, noise = told[config.low], torch.zeros_like(alpha)
        if config.level is not None:
            level = told[config.level][:, None, None, None].clamp(0.0, HIGHEST)
            kept = (1 - level.square()).sqrt()
            low, noise = low / kept, level / kept
        guess = guess_picture(low.clamp(-1, 1), config.factor)
        spread = (config.deviation**2 * alpha.square() + sigma.square()).sqrt()
        return Anchor(
            input=(x - alpha * guess) / spread, guess=guess, x=x, low=low, noise=noise, alpha=alpha, sigma=sigma
        )

    def finish(self, output: Tensor, anchor: Anchor) -> Tensor:
        """The prediction (B, C, H, W) that the network's answer `output` stands for."""
        factor, x, alpha, sigma = self.config.factor, anchor.x, anchor.alpha, anchor.sigma
        deviation = torch.full_like(sigma, self.config.deviation)
        detail = anchor.guess + _estimate(x - alpha * anchor.guess, output, deviation, alpha, sigma)
        means = shrink(x, factor) - alpha * anchor.low, shrink(output, factor)
        low = anchor.low + _estimate(*means, anchor.noise, alpha, sigma / factor)
        return self._predict(make_consistent(detail, low.clamp(-1, 1), factor), x, alpha, sigma)

    def _predict(self, x0: Tensor, x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """What a network says that draws x0: see `dtool.training.loss.training_target`, where eps = (x - αx0)/σ."""
        prediction = self.config.prediction
        if prediction == "x0":
            return x0
        eps = (x - alpha * x0) / sigma
        if prediction == "eps":
            return eps
        return eps - x0 if prediction == "flow" else alpha * eps - sigma * x0


def _estimate(difference: Tensor, output: Tensor, deviation: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """See the module: what is added to the guess, of which `difference` is x minus α times it."""
    variance = (deviation.square() * alpha.square() + sigma.square()).clamp(min=TINY)
    return deviation.square() * alpha / variance * difference + deviation * sigma / variance.sqrt() * output
