"""What a network answers at both ends of its schedule, as shares of the noise and of an image in what it is given.

At the noisy end x is noise z alone: a network of ε answers z, one of v or x0 an image, which hardly depends on z, and
one of the flow z less an image. Near the clean end x is an image with a little noise: the answer's share of the image
is 0 for ε, 1 for x0, -1 for the flow and almost 0 for v; its share of z is 1, but 0 for x0. These shares are regression
coefficients, of what differs between images: a function that always answers the same looks like nothing. The image is
what a few steps of DDIM draw under the same assumption, down to far less noise than is then put on it: at one level a
wrong assumption would confirm itself. Of z a network sees the less the smoother the law of the images is, so that any
share up to that counts for the prediction that is said; what else it could be must see it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np
from numpy.typing import NDArray

from dtool.models.conditions import Conditions
from dtool.models.micro_batch import pad_calls, split_evenly
from dtool.models.network import Network
from dtool.models.time_convention import TimeConvention, tell_times
from dtool.plan.prediction import output_map, scale_input
from dtool.samplers.rule import Prediction

NUMBERS, MAX_IMAGES = 2048, 128  # that the shares are estimated on; images at most
FIRST, LAST, STEPS = 30.0, 0.02, 8  # σ/α from which on and down to which DDIM draws an image
TRIED, NEAR = 0.2, 0.05  # σ/α of the image with a little noise, and with less
SEEN = 0.25  # of the little noise that is expected: a function that knows no images, however smooth, sees less of it
Floats = NDArray[np.float64]
MISSES = 0.6  # how far the shares are from those of a prediction that they do not look like


@dataclass(frozen=True)
class Shares:
    """The answers' share of the noise at the noisy end; of the image and of the noise near the clean end.

    near: that of the image nearer still, where a wrong assumption about its size shows.
    """

    far: float
    image: float
    noise: float
    near: float

    def distance(self, expected: Shares, *, strict: bool) -> float:
        """The largest difference from the shares that are expected; infinity if one is not finite.

        Less of the little noise than is expected is no difference. strict: but some of it must be seen.
        """
        if strict and self.noise * np.sign(expected.noise) < SEEN * abs(expected.noise):
            return np.inf
        noise = self.noise - min(max(self.noise, min(0.0, expected.noise)), max(0.0, expected.noise))
        size = 3 if expected.noise == 0 else 0.5  # of x0 it is what was put in; of the others an error divided by σ
        near = size * (self.near - expected.near)
        differences = [self.far - expected.far, self.image - expected.image, noise, near]
        return float(max(map(abs, differences))) if np.isfinite(differences).all() else np.inf

    def __str__(self) -> str:
        far = f"{self.far:.2f} of pure noise"
        near = f"{self.image:.2f} of an image, {self.noise:.2f} of a little noise on it"
        return f"{far}, {near}" if np.isfinite(self.image) else far


@dataclass(frozen=True, kw_only=True)
class Assumption:
    """A network as one that predicts this, and is told its time so; told: its conditions, one entry for all images."""

    network: Network
    prediction: Prediction
    time: TimeConvention
    told: Conditions

    def expect(self) -> Shares:
        """The shares of a network that predicts this."""
        schedule = self.network.schedule
        far = self._expect_at(schedule.T - 1)[1]
        image, noise = self._expect_at(self._find_step(TRIED))
        return Shares(far=far, image=image, noise=noise, near=self._expect_at(self._find_step(NEAR))[0])

    def measure(self, *, strict: bool = False) -> tuple[Shares, float]:
        """The shares, and how far they are from those expected; if the first is, the others are not measured."""
        noise = np.random.default_rng(0).standard_normal((_count_images(self.network), *self.network.shape))
        last = self.network.schedule.T - 1
        scale = float(np.hypot(*self._levels(last)))
        (far,), expected = _regress(self._call(scale * noise, last), noise), self.expect()
        if not abs(far - expected.far) <= MISSES:
            return Shares(far=far, image=np.nan, noise=np.nan, near=np.nan), np.inf
        image = self._draw(noise)
        fresh = np.random.default_rng(1).standard_normal(noise.shape)
        (share, rest), (near, _) = (self._try_at(self._find_step(level), image, fresh) for level in (TRIED, NEAR))
        measured = Shares(far, share, rest, near)
        return measured, measured.distance(expected, strict=strict)

    def _try_at(self, step: int, image: Floats, noise: Floats) -> tuple[float, ...]:
        """The answer's shares of the image and of the noise on it, at a step."""
        alpha, sigma = self._levels(step)
        answer = self._call(alpha * image + sigma * noise, step)
        return _regress(*(each - each.mean(axis=0) for each in (answer, image, noise)))

    def _find_step(self, level: float) -> int:
        """The step at which σ/α is this."""
        return int(np.round(self.network.schedule.time(-np.log(level))))

    @cached_property
    def _steps(self) -> list[int]:
        """The steps of DDIM, equal in λ, from much noise down to a little."""
        ends = -np.log([FIRST, LAST])
        times = self.network.schedule.time(np.linspace(ends[0], ends[1], STEPS))
        return [int(each) for each in np.round(times)]

    def _levels(self, step: int) -> tuple[float, float]:
        alpha, sigma = self.network.schedule.level(np.array(float(step)))
        return float(alpha), float(sigma)

    def _expect_at(self, step: int) -> tuple[float, float]:
        """F = share·x0 + share·z of x = α·x0 + σ·z at a step."""
        alpha, sigma = self._levels(step)
        if self.prediction == "eps":
            return 0.0, 1.0
        c_skip, c_out = self._output(alpha, sigma)
        return (1 - c_skip * alpha) / c_out, -c_skip * sigma / c_out

    def _output(self, alpha: float, sigma: float) -> tuple[float, float]:
        """(c_skip, c_out) of x0 = c_skip·x + c_out·F."""
        one = np.ones(1)
        c_skip, c_out = output_map(self.prediction, alpha * one, sigma * one, one)
        return float(c_skip[0]), float(c_out[0])

    def _draw(self, x: Floats) -> Floats:
        """Images by DDIM from the noise `x`."""
        image = x
        for step, to in zip(self._steps, [*self._steps[1:], None], strict=True):
            alpha, sigma = self._levels(step)
            if step == self._steps[0]:
                x = float(np.hypot(alpha, sigma)) * x
            c_skip, c_out = self._output(alpha, sigma)
            image = c_skip * x + c_out * self._call(x, step)
            if self.network.spec.clip:
                image = image.clip(*self.network.spec.data_range)
            if to is not None:
                next_alpha, next_sigma = self._levels(to)
                x = next_alpha * image + next_sigma * (x - alpha * image) / sigma
        return image

    def _call(self, x: Floats, step: int) -> Floats:
        """The answers to x `(B, *shape)` at a step, in float64."""
        network = self.network
        alpha, sigma = (np.array([each]) for each in self._levels(step))
        c_in = float(scale_input(self.prediction, alpha, sigma, np.ones(1))[0])
        heard = float(tell_times(self.time, network.schedule, np.array([float(step)]))[0])
        parts = []
        size = network.micro_batch if network.one_size else len(x)
        for index, real in pad_calls(len(x), split_evenly(len(x), size)):
            inputs = network.array((c_in * x[index]).astype(np.float32))
            t = network.array(np.full(len(index), heard, dtype=np.float32))
            told = network.arrays({name: values.repeat(len(index), 0) for name, values in self.told.items()})
            answer = network.predict(inputs, t, told)
            parts.append(network.numpy(answer)[:real, : network.shape[0]].astype(np.float64))
        return np.concatenate(parts)


def _count_images(network: Network) -> int:
    return max(2, min(MAX_IMAGES, -(-NUMBERS // prod(network.shape))))


def _regress(values: Floats, *parts: Floats) -> tuple[float, ...]:
    """The coefficients with which the parts together come nearest to the values; NaN where they are not finite."""
    matrix = np.stack([part.ravel() for part in parts], axis=1)
    if not (np.isfinite(values).all() and np.isfinite(matrix).all()):
        return (np.nan,) * len(parts)
    return tuple(float(each) for each in np.linalg.lstsq(matrix, values.ravel(), rcond=None)[0])
