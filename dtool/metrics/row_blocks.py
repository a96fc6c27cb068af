"""Rows of features in blocks, kept in a file while they are compared: memory holds the blocks that are asked for."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from dtool.errors import UsageError
from dtool.util.arrays import Array
from dtool.util.files import make_write_error

BLOCK = 100  # rows of a block: sums are made block by block, so that this number is part of a figure's bits
STRIPE = 5  # blocks that another block is compared with at a time: fewer than the least set has, to be as small for all


class RowBlocks:
    """Rows `(n, d)`, float64 when they are read, of which the i-th block is those from i·BLOCK on.

    Written once, in whatever pieces they come, to a scratch file that goes when the object does. Blocks do not depend
    on the pieces. is_shared: whether the file has a name, so that other processes can be given the object to read.
    """

    def __init__(self, pieces: Iterable[NDArray[Any]] = (), *, is_shared: bool = False) -> None:
        make = tempfile.NamedTemporaryFile if is_shared else tempfile.TemporaryFile
        self._file: IO[bytes] = make(prefix="dtool-")
        self._dtype: np.dtype[Any] | None = None
        self.width = 0
        self.count = 0
        for piece in pieces:
            self.append(piece)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_file": self._file.name}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._file = Path(state["_file"]).open("rb")  # noqa: SIM115 - it lives as long as the object

    def append(self, rows: NDArray[Any]) -> None:
        """Add rows `(k, d)`, kept in the dtype of the first. Raises UsageError for other widths, DtoolError if the
        disk is full.
        """
        if self._dtype is None:
            self._dtype, self.width = rows.dtype, rows.shape[1]
        if rows.shape[1] != self.width:
            raise UsageError(f"rows of {rows.shape[1]} numbers after rows of {self.width}", "give images of one shape")
        try:
            self._file.seek(0, 2)
            self._file.write(np.ascontiguousarray(rows, self._dtype).data)
            self._file.flush()
        except OSError as error:
            raise make_write_error(Path(tempfile.gettempdir()), error) from error
        self.count += len(rows)

    def __len__(self) -> int:
        """How many blocks."""
        return -(-self.count // BLOCK)

    @property
    def sizes(self) -> NDArray[np.int64]:
        """The rows of every block, `(blocks,)`: BLOCK, but for the last."""
        starts = np.arange(len(self)) * BLOCK
        return np.minimum(BLOCK, self.count - starts)

    def read(self, first: int, last: int | None = None) -> Array:
        """The rows of block `first`, or of the blocks up to `last`, which is not among them: `(rows, d)`."""
        end = min(self.count, (first + 1 if last is None else last) * BLOCK)
        return self._read_rows(first * BLOCK, end)

    def stripes(self, first: int = 0) -> Iterator[tuple[int, Array]]:
        """The blocks from `first` on, STRIPE at a time: the number of the first of them, and their rows."""
        for start in range(first, len(self), STRIPE):
            yield start, self.read(start, start + STRIPE)

    def take(self, places: NDArray[np.intp]) -> Array:
        """The rows at these places, `(len(places), d)`."""
        rows = np.empty((len(places), self.width))
        for at in np.argsort(places, kind="stable"):
            rows[at] = self._read_rows(int(places[at]), int(places[at]) + 1)[0]
        return rows

    def _read_rows(self, start: int, end: int) -> Array:
        assert self._dtype is not None, "read after rows have come"
        each = self.width * self._dtype.itemsize
        self._file.seek(start * each)
        data = self._file.read((end - start) * each)
        return np.frombuffer(data, self._dtype).reshape(end - start, self.width).astype(np.float64)


def sum_by_block(values: Array) -> Array:
    """The sums of the columns `(n,)`, block by block: `(blocks,)`."""
    return np.asarray(np.add.reduceat(values, np.arange(0, len(values), BLOCK)))
