"""Every random number of training, as a function of (seed, step) alone: resuming needs no generator's state."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from dtool.training.times import TimeDistribution


class Stream(IntEnum):
    """Independent sources under one seed."""

    WEIGHTS = 0
    ORDER = 1
    STEP = 2
    DROPOUT = 3
    FLIP = 4
    CONDITION = 5
    HELD_OUT = 6
    VALIDATION = 7
    POSTERIOR = 8
    CAPTION = 9


@dataclass(frozen=True)
class Draw:
    """What one step needs, on the CPU: images' indices (B,), times (B,) in 0 … T-1, noise (B, *), uniforms (B,)."""

    index: Tensor
    t: Tensor
    noise: Tensor
    uniform: Tensor


def derive_seed(seed: int, stream: Stream, position: int = 0) -> int:
    """A 64-bit seed that depends on all three."""
    return int(np.random.SeedSequence((seed, stream, position)).generate_state(1, np.uint64)[0])


def make_generator(seed: int, stream: Stream, position: int = 0) -> torch.Generator:
    """A CPU generator for one purpose and one position."""
    return torch.Generator().manual_seed(derive_seed(seed, stream, position))


@lru_cache(maxsize=2)
def _shuffle_epoch(seed: int, epoch: int, count: int) -> Tensor:
    return torch.randperm(count, generator=make_generator(seed, Stream.ORDER, epoch))


def draw_indices(seed: int, step: int, batch: int, count: int) -> Tensor:
    """The images of a step (B,): every epoch visits each of `count` images once, in an order of its own."""
    position = torch.arange(step * batch, (step + 1) * batch)
    epochs = range(int(position[0]) // count, int(position[-1]) // count + 1)
    return torch.cat(
        [_shuffle_epoch(seed, epoch, count)[position[position // count == epoch] % count] for epoch in epochs]
    )


def draw(seed: int, step: int, batch: int, count: int, shape: tuple[int, ...], times: TimeDistribution) -> Draw:
    """Algorithm 1 of DDPM, lines 2 to 4: x0's index, t as `times` says, noise standard normal (B, *shape)."""
    g = make_generator(seed, Stream.STEP, step)
    return Draw(
        index=draw_indices(seed, step, batch, count),
        t=times.draw(batch, g),
        noise=torch.randn((batch, *shape), generator=g),
        uniform=torch.rand(batch, generator=g),
    )
