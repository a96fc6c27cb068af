"""Networks that fill a picture themselves: they are told the picture, and a mask of what is drawn anew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.errors import UsageError
from dtool.models.network import Network

KNOWN, MASK = "known", "mask"  # what `dtool train --task fill` calls the two, each in -1 … 1


def fills_pictures(network: Network) -> bool:
    """Whether it takes a picture and a mask as conditions: of its codec's pictures, or as `--task fill` trains."""
    if network.pictures is not None:
        return network.pictures.mask is not None
    shapes, own = {one.name: one.shape for one in network.spec.conditions}, network.picture_shape
    return shapes.get(KNOWN) == own and shapes.get(MASK) == (1, *own[1:])


def tell_edit(
    network: Network, pictures: NDArray[Any], drawn: NDArray[np.bool_], conditions: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The conditions of such a network with the picture and the mask among them.

    pictures `(1 or n, C, H, W)` in the network's range; drawn: the same, or with one channel, where each is drawn anew.
    Raises UsageError for a condition that is given, too.
    """
    mask = drawn.any(axis=1, keepdims=True).astype(np.float32)
    if network.pictures is None:
        low, high = network.picture_range
        scaled = pictures if (low, high) == (-1, 1) else (pictures - low) / (high - low) * 2 - 1
        told = {MASK: 2 * mask - 1, KNOWN: scaled}
    else:
        assert network.pictures.mask is not None, "it fills pictures"
        told = {network.pictures.mask: mask, network.pictures.latents: pictures}
    for name in told:
        if name in (conditions or {}):
            raise UsageError(
                f"the network is told {name} by the mask and the image, and as a condition", "leave out one of them"
            )
    return {**(conditions or {}), **told}
