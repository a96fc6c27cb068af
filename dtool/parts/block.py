"""Blocks: the ids of a run, some at a time, each of which is drawn, saved and drawn again as one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

from dtool.errors import UsageError
from dtool.models.micro_batch import choose_micro_batch

MAX_IDS = 1 << 32  # that a seed has
BLOCK_IMAGES = 256  # images of a block at most, unless it is told another number
BLOCK_NUMBERS = 1 << 24  # numbers of a block's images at most: 64 MB
SHOWN_DIGITS = 8  # of a hash in a file's name
_NAME = re.compile(r"(\d{8,10})-(\d{8,10})-([0-9a-f]{8})-([0-9a-f]{8})-(\d{1,20})")


@dataclass(frozen=True, order=True)
class Block:
    """The images with ids `first` … `last`, both among them."""

    first: int
    last: int

    def __len__(self) -> int:
        return self.last - self.first + 1

    @property
    def ids(self) -> range:
        """The ids, in order."""
        return range(self.first, self.last + 1)

    def __str__(self) -> str:
        return f"images {self.first} to {self.last}"

    def make_name(self, plan: str, model: str, seed: int) -> str:
        """The name of the block's file without its ending, from the hashes of plan and model; sorted as the ids are."""
        return f"{self.first:08d}-{self.last:08d}-{plan[:SHOWN_DIGITS]}-{model[:SHOWN_DIGITS]}-{seed}"


class Blocks(Sequence[Block]):
    """The blocks of `total` images, `size` in each, the last one as many as are left: made when they are asked for.

    >>> from dtool.parts.block import Blocks
    >>> list(Blocks(5, 2))
    [Block(first=0, last=1), Block(first=2, last=3), Block(first=4, last=4)]
    """

    def __init__(self, count: int, size: int) -> None:
        """Raises UsageError for no images, more than a seed has ids, or blocks of none."""
        if not 1 <= count <= MAX_IDS:
            raise UsageError(f"{count} images cannot be drawn of one seed", f"ask for 1 to {MAX_IDS}")
        if size < 1:
            raise UsageError(f"blocks of {size} images", "use 1 or more")
        self.total, self.size = count, size

    def __len__(self) -> int:
        return -(-self.total // self.size)

    def __getitem__(self, index: int) -> Block:  # type: ignore[override]
        place = range(len(self))[index]
        first = place * self.size
        return Block(first, min(first + self.size, self.total) - 1)

    def __iter__(self) -> Iterator[Block]:
        for first in range(0, self.total, self.size):
            yield Block(first, min(first + self.size, self.total) - 1)


def divide(count: int, size: int) -> Blocks:
    """The ids 0 … count - 1 in blocks of `size`; raises UsageError for numbers of which there are none.

    >>> [len(block) for block in dtool.parts.divide(1000, 400)]
    [400, 400, 200]
    """
    return Blocks(count, size)


def choose_block_size(shape: Sequence[int], batch_size: int | None = None) -> int:
    """How many images of `shape` make a block: a power of two, or about as many in whole batches of `batch_size`.

    It depends on nothing else, so that every machine divides a run in the same way.
    """
    size = min(BLOCK_IMAGES, choose_micro_batch(shape, BLOCK_NUMBERS)) if prod(shape) else BLOCK_IMAGES
    return size if batch_size is None else batch_size * max(1, size // batch_size)


def parse_name(name: str) -> tuple[Block, str, str, int] | None:
    """The block in a file's name, and what its plan's and its model's hash begin with, and the seed; None of others."""
    match = _NAME.fullmatch(name)
    return match and (Block(int(match[1]), int(match[2])), match[3], match[4], int(match[5]))
