"""One noise source for all backends: every normal number is a function of (seed, image, draw, element).

A counter-based generator (Squares, arXiv:2004.06278, section 4: four rounds, 32 bits) makes uniform numbers from 64-bit
multiplication, addition and a swap of halves; Box and Muller's transform in float64, rounded to float32, makes normal
ones. Image i is then the same whatever the batch, the order, the number of workers or the backend.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.errors import UsageError, format_value
from dtool.util.arguments import as_integers

_HALF = np.uint64(32)
Words = NDArray[np.uint64]


# Two keys for the key itself: the hexadecimal digits of π and of e behind the point, but for those that `derive_key`
# rules out.
SEED_KEYS = (0x243F6A85A38D1927, 0xB7E1562D2A6BF715)


@functools.lru_cache
def derive_key(seed: int) -> int:
    """The generator's 64-bit key for a seed: in each half eight different hexadecimal digits, none of them 0, odd.

    The digits are drawn by ranking 1 … 15 by what the generator itself makes of the seed's halves, so that a graph can
    do it too: the last digit is the first of the odd ones, the others follow as they come.
    Raises UsageError unless 0 ≤ seed < 2⁶⁴.
    """
    if not 0 <= seed < 2**64:
        raise UsageError(f"seed {seed} is out of range", "choose 0 to 2^64-1")
    words = np.zeros(32, np.uint64)
    for half, fixed in zip(divmod(seed, 2**32), SEED_KEYS, strict=True):
        counters = np.arange(32 * half, 32 * half + 32, dtype=np.uint64)
        words += squares(counters * np.uint64(fixed), fixed)
    result = 0
    for place in (32, 0):
        ranks = words[16 - place // 2 :][:15].tolist()
        order = sorted(range(1, 16), key=lambda digit: (-ranks[digit - 1], digit))
        last = next(digit for digit in order if digit % 2)
        digits = [last, *(digit for digit in order if digit != last)][:8]
        result += sum(digit << (4 * i + place) for i, digit in enumerate(digits))
    return result


def squares(counters: Words, key: int, room: Sequence[Words] | None = None) -> Words:
    """32 random bits for each counter, in the low half of each uint64.

    counters: already multiplied by the key, modulo 2⁶⁴. room: three working arrays, the answer in the first.
    """
    y = counters
    x, z, low = np.empty((3, *y.shape), np.uint64) if room is None else room
    np.add(y, np.uint64(key), out=z)
    np.multiply(y, y, out=x)
    for add in (y, z, y):
        x += add
        np.left_shift(x, _HALF, out=low)
        x >>= _HALF
        x |= low
        x *= x
    x += z
    x >>= _HALF
    return x


def counter_range(draw: int, count: int, elements: int) -> tuple[int, int]:
    """The low halves of the counters of `count` draws, as a range: each draw takes `elements`, rounded up to even.

    Raises UsageError if one image would need more than 2³² numbers.
    """
    width = elements + elements % 2
    if (draw + count) * width > 2**32:
        raise UsageError("this run needs more than 2^32 random numbers per image", "use fewer steps or smaller images")
    return draw * width, (draw + count) * width


def number_last_draw(shape: tuple[int, ...]) -> int:
    """The number of the last draw of arrays of this shape that an image's counters have room for."""
    elements = prod(shape)
    return int(2**32 // (elements + elements % 2) - 1)


class _Scratch(threading.local):
    """Working arrays of a thread: fresh memory would cost as much as the numbers."""

    KEPT = 1 << 21  # words: 16 MB

    def __init__(self) -> None:
        self._words = np.empty(0, np.uint64)

    def __call__(self, shape: tuple[int, ...]) -> Words:
        """An array that nobody else writes to until the thread asks for another."""
        size = prod(shape)
        if size > self.KEPT:
            return np.empty(shape, np.uint64)
        if size > len(self._words):
            self._words = np.empty(size, np.uint64)
        return self._words[:size].reshape(shape)


_scratch = _Scratch()


class Normals:
    """Standard normal noise of images `ids` `(B,)`, `count` draws at a time.

    Draw 0 is the start; row i of a plan uses draw i + 1. A counter holds the image id in its high half, draw and
    element in its low one; two neighbours make a pair of normal numbers.
    """

    def __init__(self, seed: int, ids: NDArray[np.uint64], shape: tuple[int, ...], count: int = 1) -> None:
        self._key, self._count, self._elements = derive_key(seed), count, prod(shape)
        self._shape = (count, len(ids), *shape)
        pairs = counter_range(0, count, self._elements)[1] // 2
        self._first = np.empty((2, count, len(ids), pairs // count), np.uint64)
        even, odd = self._first  # the counters of draw 0 on, multiplied by the key
        low = np.arange(pairs, dtype=np.uint64).reshape(count, 1, -1)
        low *= np.uint64(2 * self._key % 2**64)
        np.add(low, ((ids.astype(np.uint64) << _HALF) * np.uint64(self._key))[:, None], out=even)
        np.add(even, np.uint64(self._key), out=odd)

    def __call__(self, draw: int) -> NDArray[np.float32]:
        """Draws `draw` … `draw + count - 1`, `(count, B, *shape)`, in an array of its own.

        Raises UsageError if one image would need more than 2³² numbers.
        """
        start = counter_range(draw, self._count, self._elements)[0]
        counters, *room = _scratch((4, *self._first.shape))
        np.add(self._first, np.uint64(start * self._key % 2**64), out=counters)
        bits = squares(counters, self._key, room)
        uniform = counters.view(np.float64)  # the same memory: the counters are done with
        square, total = room[1].view(np.float64)
        uniform[...] = bits
        uniform += 0.5
        radius, half = uniform
        radius *= 2.0**-32
        np.log(radius, out=radius)
        radius *= -2.0
        np.sqrt(radius, out=radius)
        half *= np.pi * 2.0**-32  # cosine and sine from the tangent of half the angle: one function instead of two
        np.tan(half, out=half)
        np.multiply(half, half, out=square)
        half *= 2.0
        np.add(1.0, square, out=total)
        radius /= total
        np.subtract(1.0, square, out=square)
        square *= radius
        half *= radius
        pairs = np.empty((*radius.shape, 2), np.float32)
        pairs[..., 0], pairs[..., 1] = square, half
        return pairs.reshape(*self._shape[:2], -1)[..., : self._elements].reshape(self._shape)


def normals(
    seed: int, ids: NDArray[np.uint64], draw: int, shape: tuple[int, ...], count: int = 1
) -> NDArray[np.float32]:
    """The noise of `Normals`, once: draws `draw` … `draw + count - 1`, `(count, B, *shape)`."""
    return Normals(seed, ids, shape, count)(draw)


def check_ids(ids: Sequence[int] | NDArray[Any]) -> NDArray[np.uint64]:
    """`ids` as counters hold them; raises UsageError for one that is no whole number, negative or too large."""
    refused = UsageError(
        f"ids={format_value(ids)}: image ids are a list of whole numbers in 0 … 2^32-1", "e.g. ids=[0, 1, 2]"
    )
    try:
        values = as_integers("ids", ids)
    except UsageError as error:
        raise refused from error
    if values.ndim != 1 or (values < 0).any() or (values >= 2**32).any():
        raise refused
    return values.astype(np.uint64)
