"""What predicted images are kept to: the range of the data, by clipping or by dynamic thresholding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dtool.backends.arithmetic import quantile
from dtool.errors import UsageError


@dataclass(frozen=True)
class Limit:
    """Keeps predicted images within [low, high].

    Without `quantile`, by clipping. With it, by dynamic thresholding (arXiv:2205.11487, section 2.3): an image of which
    more than 1 - quantile lies outside is clipped at that quantile of its distances from the middle, and shrunk to fit.
    """

    low: float
    high: float
    quantile: float | None = None

    def __post_init__(self) -> None:
        if self.quantile is not None and not 0 < self.quantile <= 1:
            raise UsageError(f"threshold={self.quantile} is not a share of the pixels", "e.g. 0.995")

    def __call__(self, images: Any) -> Any:
        """`images` `(B, *shape)` within the range, in an array of their own."""
        if self.quantile is None:
            return images.clip(self.low, self.high)
        middle, reach = (self.low + self.high) / 2, (self.high - self.low) / 2
        images = images - middle
        size = quantile(abs(images), self.quantile).clip(reach, None)
        return images.clip(-size, size) * (reach / size) + middle
