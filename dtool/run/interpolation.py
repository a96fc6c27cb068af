"""Images between two of a seed: their noise is turned from the one's to the other's, and so stays standard normal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.errors import UsageError, format_value
from dtool.models.network import Network
from dtool.run.noise import check_ids

MOST = 1 << 20  # images of a path


@dataclass(frozen=True, kw_only=True)
class Interpolation:
    """A path of `count` images from that with id `first` to that with id `last`, both among them.

    Image k has the noise cos(θ)·z_first + sin(θ)·z_last with θ = k/(count - 1)·π/2, in every draw: since the two are
    independent, each on the path is standard normal, which a straight line between them is not.
    """

    first: int
    last: int
    count: int

    def draw(self, network: Network, seed: int, places: NDArray[np.uint64], draws: int) -> Callable[[int], Any]:
        """The noise of the images at these places of the path, as `Network.noise` gives that of ids."""
        ends = [network.noise(seed, np.full(len(places), end, np.uint64), draws) for end in (self.first, self.last)]
        angle = places.astype(np.float64) / (self.count - 1) * (np.pi / 2)
        sides = [np.cos(angle), np.sin(angle)]
        sides[0][places == self.count - 1] = 0.0  # where the cosine of the rounded angle is 6e-17
        shape = (1, len(places), *[1] * len(network.shape))
        first, last = (network.array(side.astype(np.float32).reshape(shape)) for side in sides)
        return lambda draw: first * ends[0](draw) + last * ends[1](draw)


def parse_interpolation(path: str | Sequence[int] | None) -> Interpolation | None:
    """ "A:B:N" or (A, B, N): N images between those with ids A and B; raises UsageError for what is none."""
    if path is None:
        return None
    words = path.split(":") if isinstance(path, str) else list(path)
    refused = UsageError(
        f"{format_value(path)} is no path between two images", "write it as A:B:N, N images from id A to id B: 0:7:9"
    )
    try:
        first, last, count = (int(word) for word in words)
    except (ValueError, TypeError) as error:
        raise refused from error
    if not 2 <= count <= MOST:
        raise UsageError(f"a path of {count} images", f"it has both ends at least: 2 to {MOST}")
    check_ids([first, last])
    if first == last:
        raise UsageError(f"the path begins and ends at image {first}", "name two ids")
    return Interpolation(first=first, last=last, count=count)
