"""The numbers that networks of Stable Diffusion XL's kind are told beside a text (arXiv:2307.01952, section 2.2)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Height, width, top and left of the crop, height and width that are aimed at; in the place of the last two a refiner
# takes a score of how well a picture pleases.
COUNT, REFINER_COUNT = 6, 5
SCORE, NEGATIVE_SCORE = 6.0, 2.5  # what diffusers' pipeline tells a refiner, and where guidance compares


def make_time_ids(height: int, width: int, count: int) -> NDArray[np.float32]:
    """Those of a picture of this size that is not cut out of another, `(count,)`."""
    rest = [SCORE] if count == REFINER_COUNT else [height, width]
    return np.array([height, width, 0, 0, *rest], dtype=np.float32)


def contrast_time_ids(ids: Any) -> NDArray[np.float32]:
    """What guidance compares a refiner's with: of no crop, and of a picture that does not please; `(…, 5)`."""
    other = np.array(ids, dtype=np.float32)
    other[..., 2:] = (0, 0, NEGATIVE_SCORE)
    return other
