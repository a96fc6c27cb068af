"""What a comparison found: plain data, and its JSON form."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Entry:
    """One recipe at one number of steps: `name` as it was asked for, `recipe` in its shortest form, the plan's hash.

    `calls`: network calls an image. `seconds`: the median time of drawing all n images; `images_per_second` follows.
    `quality`: the Fréchet distance, None if there is nothing to measure against.
    """

    name: str
    recipe: str
    steps: int
    calls: int
    plan: str
    seconds: float
    images_per_second: float
    quality: float | None


@dataclass(frozen=True)
class Quality:
    """What the quality figures were measured against.

    `floor`: what n random draws of the reference's own Gaussian score; figures near it cannot be told apart.
    `enough`: whether n is above the number of features, below which the samples' covariance has no full rank.
    """

    measure: str
    reference: str
    reference_count: int
    features: int
    floor: float
    enough: bool


@dataclass(frozen=True)
class Comparison:
    """The result of `dtool.compare`: one entry a recipe and step count, and the pictures that they drew.

    `rmse` (rows, rows): the root mean square difference of their samples, from the same noise. `images`
    (rows, n, *shape) float32, `labels` and `ids` (n,) are not in the JSON form.
    """

    entries: tuple[Entry, ...]
    rmse: NDArray[np.float64]
    n: int
    seed: int
    repeats: int
    backend: str
    device: str
    shape: tuple[int, ...]
    data_range: tuple[float, float]
    quality: Quality | None
    images: NDArray[np.float32] = field(repr=False)
    ids: NDArray[np.uint64] | None = field(repr=False)
    labels: NDArray[np.int64] | None = field(repr=False, default=None)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the pictures, as JSON can hold it."""
        return {
            "n": self.n,
            "seed": self.seed,
            "repeats": self.repeats,
            "backend": self.backend,
            "device": self.device,
            "shape": list(self.shape),
            "entries": [asdict(entry) for entry in self.entries],
            "rmse": self.rmse.tolist(),
            "quality": None if self.quality is None else asdict(self.quality),
        }

    def to_json(self) -> str:
        """`to_dict` as text."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False)
