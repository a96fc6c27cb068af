"""A network that shows someone each of its calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from numpy.typing import NDArray

from dtool.models.conditions import as_conditions
from dtool.models.network import Network
from dtool.models.stand_in import StandInNetwork

Feeds = dict[str, NDArray[Any]]


class RecordingNetwork(StandInNetwork):
    """`network`, and after every call `see(feeds, output)`: x `(B, *shape)`, t `(B,)`, label `(B,)`, all numpy.

    They are the caller's arrays: what wants to keep them makes copies.
    """

    backend: ClassVar[str] = "watched"

    def __init__(self, network: Network, see: Callable[[Feeds, NDArray[Any]], None]) -> None:
        super().__init__(network)
        self.see = see

    def predict(self, x: Any, t: Any, conditions: Any = None) -> Any:
        """The network's own answer."""
        output = self.network.predict(x, t, conditions)
        feed = {"x": x, "t": t, **as_conditions(conditions)}
        self.see({name: self.numpy(value) for name, value in feed.items()}, self.numpy(output))
        return output
