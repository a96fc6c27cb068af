"""A network that stands for another one, on the same backend, and does something more at its calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dtool.models.network import Network


class StandInNetwork(Network):
    """Every call of it is one of `network`: what is derived from it says what else happens."""

    backend: ClassVar[str] = "stand-in"

    def __init__(self, network: Network) -> None:
        super().__init__(network.spec)
        self.network = network
        self.stand_for(network)  # tried out here it would be called where only the run should

    def predict(self, x: Any, t: Any, conditions: Any = None) -> Any:
        """The network's own answer."""
        return self.network.predict(x, t, conditions)

    def run_trial(self, images: int, size: int, time: int, doubled: bool) -> NDArray[Any]:
        """The network's own, which is no call of a run."""
        return self.network.run_trial(images, size, time, doubled)

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
