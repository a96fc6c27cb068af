"""What predicted images are kept to: the range of the data, by clipping or by dynamic thresholding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from dtool.errors import UsageError, format_value
from dtool.models.spec import NetworkSpec
from dtool.run.arithmetic import quantile


class Threshold(NamedTuple):
    """Dynamic thresholding at this quantile of an image's distances from the middle.

    `most`: what the quantile counts for at most, in halves of the data's range; None: there is no bound.
    """

    quantile: float
    most: float | None = None

    def __str__(self) -> str:
        """As it is written: 0.995, or 0.995:1.5."""
        return f"{self.quantile:g}" if self.most is None else f"{self.quantile:g}:{self.most:g}"


def parse_threshold(value: float | str | Threshold | None) -> Threshold | None:
    """A threshold as it is given: 0.995, or "0.995:1.5" with an upper bound; raises UsageError for something else."""
    if value is None or isinstance(value, Threshold):
        return value
    parts = value.split(":") if isinstance(value, str) else [value]
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = []
    if not 1 <= len(numbers) <= 2:
        raise UsageError(f"threshold={format_value(value)} cannot be read", "e.g. 0.995, or 0.995:1.5 with a bound")
    if not 0 < numbers[0] <= 1:
        raise UsageError(f"threshold={numbers[0]} is not a share of the pixels", "e.g. 0.995")
    if len(numbers) == 2 and not 1 <= numbers[1] < float("inf"):
        raise UsageError(f"threshold={format_value(value)}: its bound is not 1 or more", "e.g. 0.995:1.5")
    return Threshold(*numbers)


def get_own_threshold(spec: NetworkSpec) -> Threshold | None:
    """The dynamic thresholding that a network has by default."""
    return None if spec.threshold is None else Threshold(spec.threshold, spec.threshold_max)


@dataclass(frozen=True)
class Clipping:
    """Keeps predicted images within [low, high].

    Without `quantile`, by clipping. With it, by dynamic thresholding (arXiv:2205.11487, section 2.3): an image of which
    more than 1 - quantile lies outside is clipped at that quantile of its distances from the middle, and shrunk to fit.
    most: it is clipped no further out than at so many halves of the range; 1 is clipping.
    """

    low: float
    high: float
    quantile: float | None = None
    most: float | None = None

    def __post_init__(self) -> None:
        if self.quantile is not None and not 0 < self.quantile <= 1:
            raise UsageError(f"threshold={self.quantile} is not a share of the pixels", "e.g. 0.995")

    @classmethod
    def for_network(cls, spec: NetworkSpec, threshold: Threshold | None) -> Clipping:
        """To the range of the network's data, by this threshold if there is one."""
        return cls(*spec.clip_bounds) if threshold is None else cls(*spec.data_range, *threshold)

    @property
    def threshold(self) -> Threshold | None:
        """The dynamic thresholding, if it is one."""
        return None if self.quantile is None else Threshold(self.quantile, self.most)

    def __call__(self, images: Any) -> Any:
        """`images` `(B, *shape)` within the range, in an array of their own."""
        if self.quantile is None:
            return images.clip(self.low, self.high)
        middle, reach = (self.low + self.high) / 2, (self.high - self.low) / 2
        images = images - middle
        size = quantile(abs(images), self.quantile).clip(reach, None if self.most is None else self.most * reach)
        return images.clip(-size, size) * (reach / size) + middle
