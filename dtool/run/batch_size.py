"""How many images may run together: as many as leave every bit of each as it is alone. Tried out, not assumed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dtool.errors import DtoolError
from dtool.models.batch_invariance import check_batch_invariance
from dtool.models.micro_batch import choose_micro_batch
from dtool.models.network import Network

NUMBERS_PER_CALL = 8192  # from which on a larger call gains nothing on a CPU
MAX_MICRO_BATCHES = 8  # micro-batches in a call
MIN_TRIAL_ROWS = 64  # network rows of a run from which on trying it out pays


def choose_call_sizes(network: Network, count: int, doubled: NDArray[np.bool_]) -> list[int]:
    """How many images each call runs, for `count` images: their sum is at least `count`.

    All are the network's micro-batch, but where several of those together are known to give each image the same bits.
    doubled: the rows of the run in which every image is run twice in a call, for guidance `(rows,)`.
    """
    check_batch_invariance(network)
    unit = network.micro_batch
    worth = (len(doubled) + int(doubled.sum())) * count >= MIN_TRIAL_ROWS
    ways = {bool(twice) for twice in doubled} if count >= 2 * unit else set()  # the trial must hold for both sizes
    most = min((find_invariant_batch(network, count, twice, try_out=worth) for twice in ways), default=unit)
    large = count // most if most > unit else 0
    return [most] * large + [unit] * -(-(count - large * most) // unit)


def find_invariant_batch(network: Network, count: int, doubled: bool, *, try_out: bool = True) -> int:
    """How many of `count` images run at a time with the bits of `network.micro_batch` of them, on random data.

    try_out: whether what is not known yet is found out.
    """
    unit = network.micro_batch
    if network.mixes:
        return unit
    share = count // (unit * network.workers) or count // unit  # micro-batches of each worker, if there are so many
    most = min(
        MAX_MICRO_BATCHES * unit,
        choose_micro_batch(network.shape, NUMBERS_PER_CALL),
        unit << share.bit_length() - 1,
    )
    if network.device != "cpu" or network.backend == "numpy" or network.one_size or most <= unit:
        return unit
    if (most, doubled) not in network.invariant_sizes and try_out:
        network.invariant_sizes[most, doubled] = _has_same_bits(network, unit, most, doubled)
    return most if network.invariant_sizes.get((most, doubled), False) else unit


def _has_same_bits(network: Network, unit: int, most: int, doubled: bool) -> bool:
    """Whether `most` images come out of one call as out of calls of `unit`: a matter of kernels, not of the numbers."""
    try:
        one, other = (network.run_trial(most, size, network.schedule.T // 2, doubled) for size in (most, unit))
    except DtoolError:  # a graph that takes one image at a time, say
        return False
    return np.array_equal(one, other)
