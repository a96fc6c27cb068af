"""Walking images along a chain: every prediction of the network at every level."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dtool.likelihood.chain import Chain
from dtool.likelihood.network_calls import Caller
from dtool.models.conditions import Conditions
from dtool.models.network import Network
from dtool.util.arrays import Array

Noise = Callable[[int, NDArray[np.intp]], Array]


class CallCounter:
    """Calls progress(done, total) after every network call."""

    def __init__(self, progress: Callable[[int, int], None] | None, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def __call__(self) -> None:
        """One more call is done."""
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, self._total)


class LevelPrediction(NamedTuple):
    """What one network call predicts: `x0` of the images at `places`, predicted as `image` from level `row`.

    `places` `(B,)`, `x0` and `image` `(B, *shape)`; `variance`: the second half of the output, if there is one.
    """

    row: int
    places: NDArray[np.intp]
    x0: Array
    image: Array
    variance: Array | None


@dataclass(frozen=True, kw_only=True)
class ChainRun:
    """A chain, the images it is walked for, and how: what both passes over them need.

    data `(n, *shape)`; told: the conditions of the images by name, one entry each; calls: the images that each
    network call runs, and how many of them are no padding. count_call: called after every network call.
    """

    network: Network
    chain: Chain
    data: Array
    told: Conditions
    clip: bool | None
    calls: list[tuple[NDArray[np.intp], int]]
    count_call: Callable[[], None]

    def predictions(self, noise: Noise, repeats: int) -> Iterator[LevelPrediction]:
        """Every network call's prediction, `repeats` of each image at each level."""
        chain, caller = self.chain, Caller(self.network, self.told)
        clip = self.network.spec.clip if self.clip is None else self.clip
        channels = self.network.shape[0]
        for padded, real in self.calls:
            places, x0 = padded[:real], self.data[padded]
            for draw in range(chain.steps * repeats):
                i = draw // repeats
                x = chain.alpha[i] * x0 + chain.sigma[i] * noise(draw, padded)
                output = caller(chain.c_in[i] * x, np.full(len(x), chain.time[i]), padded)[:real]
                image = chain.c_skip[i] * x[:real] + chain.c_out[i] * output[:, :channels]
                image = image.clip(*self.network.spec.data_range) if clip else image
                self.count_call()
                variance = output[:, channels:] if output.shape[1] > channels else None
                yield LevelPrediction(row=i, places=places, x0=x0[:real], image=image, variance=variance)

    def mean_square_errors(self, noise: Noise) -> Array:
        """E(x0 - D)² at every level, `(K,)`, over images and numbers."""
        total = np.zeros(self.chain.steps)
        for prediction in self.predictions(noise, 1):
            total[prediction.row] += np.square(prediction.x0 - prediction.image).sum()
        return total / self.data.size
