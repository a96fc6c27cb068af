"""Whether the images of a run fit into memory, found out before any work."""

from __future__ import annotations

from math import prod

from dtool.models.network import Network
from dtool.util import memory


def require_room(network: Network, n: int, traced: int = 0, *, decoded: bool = False) -> None:
    """Raise UsageError if n images, with a trace of so many calls, do not fit into memory: in parts, then in one array.

    Their ids and classes are counted too. decoded: whether what the network's codec makes of them is held as well.
    """
    each = 2 * 4 * prod(network.shape) * (1 + (2 * traced + 1 if traced else 0)) + 2 * 8
    each += 2 * 4 * prod(network.picture_shape) * (decoded and network.codec is not None)
    without = ", or leave out the trace" if traced else ""
    memory.require_room(each * n, f"{n} images of {network.shape}", f"ask for fewer at a time{without}")
