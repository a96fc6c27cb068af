"""Whether a rewritten network computes what the original does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

TOLERANCE = 1e-5  # of an output; of numbers above 1, as a share of the largest


def measure_difference(one: NDArray[Any], other: NDArray[Any]) -> float:
    """The largest difference; of numbers above 1, as a share of the largest. NaN if either has one.

    >>> from dtool.onnx.rewrite.comparison import measure_difference
    >>> import numpy as np
    >>> measure_difference(np.array([0.5, 200.0]), np.array([0.5, 201.0]))
    0.005
    """
    return float(np.abs(one - other).max() / max(1.0, np.abs(one).max()))


def are_equal(outputs: Sequence[NDArray[Any]], others: Sequence[NDArray[Any]]) -> bool:
    """Whether all outputs of calls are equal to within `TOLERANCE`."""
    return all(measure_difference(one, other) <= TOLERANCE for one, other in zip(outputs, others, strict=True))
