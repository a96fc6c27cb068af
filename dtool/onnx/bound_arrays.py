"""Arrays that are bound to a session of ONNX Runtime, lent to one run after another: binding them takes 0.3 ms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

Arrays = tuple[Any, list[NDArray[Any]], NDArray[Any]]  # the binding, the inputs, the output
SIZES = 8  # batch sizes whose arrays are kept


class BufferPool:
    """The arrays of a network that nobody uses now, by batch size. Threads may share it."""

    def __init__(self) -> None:
        self._free: dict[int, list[Arrays]] = {}

    def lend(self, batch: int, make: Callable[[int], Arrays]) -> BufferLease:
        """Arrays for this batch: some that were used before, or new ones."""
        if batch not in self._free and len(self._free) >= SIZES:
            self._free = {}
        free = self._free.setdefault(batch, [])
        try:
            return BufferLease(free, free.pop())
        except IndexError:
            return BufferLease(free, make(batch))


class BufferLease:
    """`arrays`, until this object is deleted: then somebody else may have them."""

    EACH = 2  # of a batch size are kept

    def __init__(self, free: list[Arrays], arrays: Arrays) -> None:
        self._free, self.arrays = free, arrays

    def __del__(self) -> None:
        if len(self._free) < self.EACH:
            self._free.append(self.arrays)
