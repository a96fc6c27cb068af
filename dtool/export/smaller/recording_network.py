"""A network that shows someone each of its calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dtool.models.conditions import as_conditions
from dtool.models.network import Network

Feeds = dict[str, NDArray[Any]]


class RecordingNetwork(Network):
    """`network`, and after every call `see(feeds, output)`: x `(B, *shape)`, t `(B,)`, label `(B,)`, all numpy.

    They are the caller's arrays: what wants to keep them makes copies.
    """

    backend: ClassVar[str] = "watched"

    def __init__(self, network: Network, see: Callable[[Feeds, NDArray[Any]], None]) -> None:
        super().__init__(network.spec)
        self.network, self.see = network, see
        self.stand_for(network)  # tried out here it would be called where only the run should

    def predict(self, x: Any, t: Any, conditions: Any = None) -> Any:
        """The network's own answer."""
        output = self.network.predict(x, t, conditions)
        feed = {"x": x, "t": t, **as_conditions(conditions)}
        self.see({name: self.numpy(value) for name, value in feed.items()}, self.numpy(output))
        return output

    def array(self, values: NDArray[Any]) -> Any:
        """As the network does."""
        return self.network.array(values)

    def numpy(self, values: Any) -> NDArray[Any]:
        """As the network does."""
        return self.network.numpy(values)

    def concatenate(self, parts: Sequence[Any]) -> Any:
        """As the network does."""
        return self.network.concatenate(parts)

    def noise(self, seed: int, ids: NDArray[np.uint64], count: int) -> Callable[[int], Any]:
        """As the network does."""
        return self.network.noise(seed, ids, count)
