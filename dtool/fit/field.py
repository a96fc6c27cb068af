"""What a network predicts for many images at one level, in calls as large as is fastest: guided, clipped, counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dtool.errors import UsageError
from dtool.fit.noises import Noises
from dtool.guidances.guidance import Guidance, Level
from dtool.models.micro_batch import choose_micro_batch, pad_calls, split_evenly
from dtool.models.network import Network
from dtool.plan.prediction import history_map, output_map, scale_input
from dtool.run.clipping import Clipping
from dtool.samplers.rule import Basis
from dtool.util.arrays import Array

# Numbers in a call: 32 images of 28×28 on a CPU, beyond which a call is not faster per image.
CPU_NUMBERS, LARGE_NUMBERS = 1 << 15, 1 << 22


class Field:
    """The network as the rows of a table see it: (x, λ) ↦ the entry of the history, in the network's own coordinates.

    guidance: as strong at each λ as it says; None: no guidance. clip: what every predicted image is kept to. basis:
    what an entry is, an image or a noise. calls: how many images have been evaluated, those that guidance evaluates
    twice counted twice; on_call(n): after every n of them.
    """

    def __init__(
        self,
        network: Network,
        *,
        guidance: Guidance | None = None,
        clip: Clipping | None = None,
        basis: Basis = "eps",
        on_call: Callable[[int], None] | None = None,
    ) -> None:
        self.network, self.guidance, self.clip, self.basis = network, guidance, clip, basis
        self.on_call, self.calls = on_call, 0
        self.size = _choose_size(network)
        self.dtype = choose_dtype(network)

    def locate(self, lam: float) -> tuple[float, float, float]:
        """(time, α, σ) of a level on the network's schedule."""
        time = float(self.network.schedule.time(lam))
        alpha, sigma = self.network.schedule.level(time)
        return time, float(alpha), float(sigma)

    @property
    def fineness(self) -> float:
        """How much smaller than in float32 a difference may be before rounding shows."""
        return 1e-3 if self.dtype is np.float64 else 1.0

    def bound(self) -> tuple[float, float]:
        """The λ of the noisiest level that an entry can be had at, and of the cleanest."""
        lam = self.network.schedule.lam
        return float(lam[np.isfinite(lam)][-1]), float(lam[0])

    def predict(self, x: Array, lam: float, noises: Noises) -> Array:
        """The entries `(n, *shape)` of x `(n, *shape)` at λ; noises: the images, whose conditions are told."""
        time, *level = self.locate(lam)
        alpha, sigma = (np.array([value]) for value in level)
        c_in = scale_input(self.network.prediction, alpha, sigma, np.ones(1))
        output = self._evaluate(x * c_in[0], time, self._weigh(time), noises)
        if self.clip is None:
            m_x, m_f = history_map(self.basis, self.network.prediction, alpha, sigma, c_in)
            return np.asarray(m_x[0] * x + m_f[0] * output)
        c_skip, c_out = output_map(self.network.prediction, alpha, sigma, c_in)
        image = self.clip(c_skip[0] * x + c_out[0] * output)
        return np.asarray(image if self.basis == "x0" else (x - alpha[0] * image) / sigma[0])

    def _weigh(self, time: float) -> float:
        """The guidance scale at this time."""
        if self.guidance is None:
            return 1.0
        alpha, sigma = (float(value) for value in self.network.schedule.level(time))
        guided = self.guidance(Level(alpha, sigma, float(np.log(alpha) - np.log(sigma)), 0.5))
        if guided.shift or self.guidance.rescale or self.guidance.scale is None:
            raise UsageError(f"a table cannot be fitted with guidance {self.guidance.token}", "give a scale, e.g. 3")
        return 1 + guided.strength * (self.guidance.scale - 1)

    def _evaluate(self, x: Array, time: float, weight: float, noises: Noises) -> Array:
        """F of the scaled input, guided with this weight, some images at a time."""
        network, pair = self.network, noises.conditions
        silent = (pair is None or pair.without is None) and network.weak is None
        told = float(network.tell(np.array([time]))[0])
        parts = []
        for index, kept in pad_calls(len(x), self._split(len(x))):
            batch = network.array(x[index].astype(self.dtype))
            times = network.array(np.full(len(index), told, self.dtype))
            given = None if pair is None else network.arrays({k: v[index] for k, v in pair.given.items()})
            output = network.numpy(network.predict(batch, times, given)).astype(np.float64)
            if weight != 1 and not silent:
                without = given
                if pair is not None and pair.without is not None and network.weak is None:
                    without = network.arrays({k: v[index] for k, v in pair.without.items()})
                other = network.numpy((network.weak or network).predict(batch, times, without)).astype(np.float64)
                output = other + weight * (output - other)
            parts.append(output[:kept, : network.shape[0]])  # without a learned variance
            spent = kept * (2 if weight != 1 and not silent else 1)
            self.calls += spent
            if self.on_call is not None:
                self.on_call(spent)
        return np.concatenate(parts)

    def _split(self, count: int) -> list[int]:
        if self.network.one_size or self.network.fixed_batch:
            return split_evenly(count, self.size)
        sizes = [self.size] * (count // self.size)
        return [*sizes, count % self.size] if count % self.size else sizes


def _choose_size(network: Network) -> int:
    """How many images a call evaluates."""
    if network.fixed_batch or network.one_size:
        return network.fixed_batch or network.micro_batch
    large = network.device != "cpu" or network.backend == "numpy"
    return choose_micro_batch(network.shape, LARGE_NUMBERS if large else CPU_NUMBERS)


def choose_dtype(network: Network) -> Any:
    """What the network is run in: float64 a function on arrays, which then has no rounding to speak of."""
    return np.float64 if network.backend == "numpy" else np.float32


def flatten(values: Any) -> Array:
    """An array of images as one vector."""
    return np.asarray(values, dtype=np.float64).reshape(-1)
