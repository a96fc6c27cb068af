"""How many images may run together: as many as leave every bit of each as it is alone. Tried out, not assumed."""

from __future__ import annotations

import numpy as np

from dtool.errors import DtoolError
from dtool.networks.batch_invariance import require_examined
from dtool.networks.network import Network, rows_for

NUMBERS = 8192  # of a call, from which on a larger one gains nothing on a CPU
MOST = 8  # micro-batches in a call
WORTH = 64  # network rows of a run from which on trying it out pays


def sizes(network: Network, count: int, rows: int, doubled: bool) -> list[int]:
    """How many images each call runs, for `count` images and `rows` calls an image: their sum is at least `count`.

    All are the network's micro-batch, but where several of those together are known to give each image the same bits.
    doubled: every image is run twice in a call, for guidance.
    """
    require_examined(network)
    unit = network.micro_batch
    worth = count >= 2 * unit and rows * count * (1 + doubled) >= WORTH
    most = together(network, count, doubled) if worth else unit
    large = count // most if most > unit else 0
    return [most] * large + [unit] * -(-(count - large * most) // unit)


def together(network: Network, count: int, doubled: bool) -> int:
    """How many of `count` images run at a time with the bits of `network.micro_batch` of them, on random data."""
    unit = network.micro_batch
    if network.mixes:
        return unit
    most = min(MOST * unit, rows_for(network.shape, NUMBERS), unit << (count // unit).bit_length() - 1)
    if network.device != "cpu" or network.backend == "numpy" or network.one_size or most <= unit:
        return unit
    if (most, doubled) not in network.company:
        network.company[most, doubled] = _same_bits(network, unit, most, doubled)
    return most if network.company[most, doubled] else unit


def _same_bits(network: Network, unit: int, most: int, doubled: bool) -> bool:
    """Whether `most` images come out of one call as out of calls of `unit`: a matter of kernels, not of the numbers."""
    try:
        one, other = (network.trial(most, size, network.schedule.T // 2, doubled) for size in (most, unit))
    except DtoolError:  # a graph that takes one image at a time, say
        return False
    return np.array_equal(one, other)
