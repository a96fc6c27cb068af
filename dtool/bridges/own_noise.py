"""dtool's own noise for samplers that other libraries run: image i of a seed is then that of `dtool.sample`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dtool.errors import UsageError
from dtool.run.noise import derive_key, normals
from dtool.run.path_noise import require_path_noise


def require_own_noise(noise: str | None, seed: int | None) -> bool:
    """Whether what steps add is of one path an image.

    Raises UsageError for a seed out of range, for another word than rows or path, and for a path without a seed.
    """
    if seed is not None:
        derive_key(seed)
    if noise is None or not require_path_noise(noise, None, of_file=False):
        return False
    if seed is None:
        raise UsageError("noise='path' is a path of dtool's own noise, and there is no seed", "give one: seed=0")
    return True


def draw_own(seed: int, shape: Sequence[int], draw: int, ids: Sequence[int] | None = None) -> NDArray[np.float32]:
    """The draw of this number for images `(B, *)`, those with ids 0 … B - 1 unless others are named."""
    places = np.arange(shape[0], dtype=np.uint64) if ids is None else np.asarray(ids, np.uint64)
    drawn: NDArray[np.float32] = normals(seed, places, draw, tuple(shape[1:]))[0]
    return drawn
