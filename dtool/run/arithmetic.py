"""What a step is made of: p·x + q·y, on numpy's arrays and torch's tensors alike."""

from __future__ import annotations

from typing import Any

import numpy as np


def mix(p: float, x: Any, q: float, y: Any) -> Any:
    """p·x + q·y, in an array of its own."""
    total = p * x
    return total if q == 0 else add(total, q, y)


def add(total: Any, q: float, y: Any) -> Any:
    """total + q·y; `total` came from `mix`, and is overwritten."""
    total += q * y
    return total


def quantile(values: Any, share: float) -> Any:
    """The value below which `share` of each image's numbers lie, between neighbours linearly; `(B, 1, …)`."""
    flat = values.reshape(len(values), -1)
    ordered = np.sort(flat, axis=1) if isinstance(flat, np.ndarray) else flat.sort(dim=1).values
    place = share * (ordered.shape[1] - 1)
    low, high = ordered[:, int(place)], ordered[:, min(int(place) + 1, ordered.shape[1] - 1)]
    return (low + (place - int(place)) * (high - low)).reshape(-1, *[1] * (values.ndim - 1))
