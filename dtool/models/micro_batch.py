"""How many images a network runs at a time, and how a call that would run fewer is filled up.

With equal sizes the same image comes out bit for bit the same in any batch; equal noise alone does not give that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

CPU_NUMBERS, LARGE_NUMBERS = 512, 8192  # in a micro-batch: on a CPU, and where a call costs more than its arithmetic
MIN_GPU_IMAGES, MAX_FUNCTION_IMAGES = 16, 64


def choose_micro_batch(shape: Sequence[int], numbers: int) -> int:
    """How many samples of `shape` make a micro-batch of about `numbers` numbers; at least one, and a power of two.

    Where a runtime computes a function of t `(B,)` some values at a time, the last few of any other number would come
    out otherwise than the same values in another place.
    """
    return 1 << (max(1, numbers // prod(shape)).bit_length() - 1)


def choose_default_micro_batch(shape: Sequence[int], device: str) -> int:
    """How many samples of `shape` a network runs at a time on this device, unless it is told."""
    if device == "cpu":
        return choose_micro_batch(shape, CPU_NUMBERS)
    return max(MIN_GPU_IMAGES, choose_micro_batch(shape, LARGE_NUMBERS))


def choose_function_micro_batch(shape: Sequence[int]) -> int:
    """How many samples of `shape` a function that is no network runs at a time: Python's own time per call counts."""
    return min(MAX_FUNCTION_IMAGES, choose_micro_batch(shape, LARGE_NUMBERS))


def split_evenly(count: int, size: int) -> list[int]:
    """The sizes of the calls that run `count` images, `size` in each: the last is padded."""
    return [size] * -(-count // size)


def pad_calls(count: int, sizes: Sequence[int]) -> Iterator[tuple[NDArray[np.intp], int]]:
    """(indices of the images in a call, how many of them are no padding), for `count` images in calls of these sizes.

    A call that is not full repeats the last image.
    """
    first = 0
    for size in sizes:
        yield np.minimum(np.arange(first, first + size), count - 1), min(size, count - first)
        first += size
