"""One noise source for all backends: every normal number is a function of (seed, image, draw, element).

A counter-based generator (Squares, arXiv:2004.06278, section 4: four rounds, 32 bits) makes uniform numbers from 64-bit
multiplication, addition and a swap of halves; Box and Muller's transform in float64, rounded to float32, makes normal
ones. Image i is then the same whatever the batch, the order, the number of workers or the backend.
"""

from __future__ import annotations

import functools
import hashlib
from math import prod

import numpy as np
from numpy.typing import NDArray

from dtool.errors import UsageError

_HALF = np.uint64(32)


@functools.lru_cache
def key(seed: int) -> int:
    """The generator's 64-bit key for a seed: in each half eight different hexadecimal digits, none of them 0, odd.

    The digits are drawn by shuffling 1 … 15 with the bytes of SHA-256 of the seed.
    Raises UsageError unless 0 ≤ seed < 2⁶⁴.
    """
    if not 0 <= seed < 2**64:
        raise UsageError(f"seed {seed} is out of range", "choose 0 to 2^64-1")
    stream = int.from_bytes(hashlib.sha256(seed.to_bytes(8, "little")).digest(), "little")
    halves = []
    for _ in range(2):
        digits = list(range(1, 16))
        chosen = []
        for position in range(8):
            allowed = [d for d in digits if d % 2] if position == 0 else digits  # the last digit is odd
            stream, index = divmod(stream, len(allowed))
            chosen.append(allowed[index])
            digits.remove(allowed[index])
        halves.append(sum(digit << (4 * i) for i, digit in enumerate(chosen)))
    return halves[0] << 32 | halves[1]


def squares(counter: NDArray[np.uint64], key: int) -> NDArray[np.uint64]:
    """32 random bits for each counter, in the low half of each uint64."""
    y = counter * np.uint64(key)
    z = y + np.uint64(key)
    x = y.copy()
    for add in (y, z, y):
        x *= x
        x += add
        low = x << _HALF
        x >>= _HALF
        x |= low
    x *= x
    x += z
    x >>= _HALF
    return x


def span(draw: int, count: int, elements: int) -> tuple[int, int]:
    """The low halves of the counters of `count` draws, as a range: each draw takes `elements`, rounded up to even.

    Raises UsageError if one image would need more than 2³² numbers.
    """
    width = elements + elements % 2
    if (draw + count) * width > 2**32:
        raise UsageError("this run needs more than 2^32 random numbers an image", "use fewer steps or smaller images")
    return draw * width, (draw + count) * width


def normals(
    seed: int, ids: NDArray[np.uint64], draw: int, shape: tuple[int, ...], count: int = 1
) -> NDArray[np.float32]:
    """Standard normal noise `(count, B, *shape)` of images `ids`, for draws `draw` … `draw + count - 1`.

    Draw 0 is the start; row i of a plan uses draw i + 1. A counter holds the image id in its high half, draw and
    element in its low one; two neighbours make a pair of normal numbers.
    """
    elements, images = prod(shape), len(ids)
    low = np.arange(*span(draw, count, elements), dtype=np.uint64)
    bits = squares((ids.astype(np.uint64) << _HALF)[:, None] | low, key(seed))
    uniform = bits.astype(np.float64)
    uniform += 0.5
    uniform *= 2.0**-32
    radius = np.sqrt(-2.0 * np.log(uniform[:, 0::2]))
    angle = (2.0 * np.pi) * uniform[:, 1::2]
    pairs = np.empty((*radius.shape, 2), np.float32)
    pairs[..., 0] = radius * np.cos(angle)
    pairs[..., 1] = radius * np.sin(angle)
    by_draw = pairs.reshape(images, count, -1)[:, :, :elements].swapaxes(0, 1)
    return np.ascontiguousarray(by_draw).reshape(count, images, *shape)


def checked_ids(ids: NDArray[np.int64]) -> NDArray[np.uint64]:
    """`ids` as counters hold them; raises UsageError for one that is negative or too large."""
    if ids.ndim != 1 or ids.size == 0 or (ids < 0).any() or (ids >= 2**32).any():
        raise UsageError("image ids must be a list of whole numbers in 0 … 2^32-1", "e.g. ids=[0, 1, 2]")
    return ids.astype(np.uint64)
