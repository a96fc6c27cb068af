"""Arrays that are bound to a session of ONNX Runtime, lent to one run after another: binding them takes 0.3 ms."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar

from numpy.typing import NDArray

# The runs that use them, at the same time if there are several; the inputs, the output.
Arrays = tuple[list[Callable[[], None]], list[NDArray[Any]], NDArray[Any]]
Way = TypeVar("Way", bound=Hashable)
SIZES = 8  # batch sizes whose arrays are kept


def bind_arrays(
    session: Any, inputs: Mapping[str, NDArray[Any]], name: str, output: NDArray[Any]
) -> Callable[[], None]:
    """A run of a session on these arrays, whose output of this `name` is written to `output`. They must stay alive."""
    binding = session.io_binding()
    for own, array in inputs.items():
        binding.bind_input(own, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
    binding.bind_output(name, "cpu", 0, output.dtype, output.shape, output.ctypes.data)
    return lambda: session.run_with_iobinding(binding)


class BufferPool:
    """The arrays of a network that nobody uses now, by batch size, or how that is run. Threads may share it."""

    def __init__(self) -> None:
        self._free: dict[Hashable, list[Arrays]] = {}

    def lend(self, batch: Way, make: Callable[[Way], Arrays]) -> BufferLease:
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
