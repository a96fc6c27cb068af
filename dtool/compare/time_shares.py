"""Where the time of a run goes: the network, the rule's own sums, the noise, copies between host and device."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dtool.models.network import Network
from dtool.run.sampler_file import FusedNetwork


@dataclass(frozen=True)
class TimeSplit:
    """Seconds of one run, whose sum is the whole of it; `rule` is the rest."""

    network: float
    rule: float
    noise: float
    copies: float

    def to_dict(self) -> dict[str, float]:
        """As JSON can hold it."""
        return asdict(self)


def attach_clock(network: Network) -> _ClockedNetwork | None:
    """The network with a clock; None for a sampler in a file, which is one call, and a GPU, which is asynchronous."""
    return None if isinstance(network, FusedNetwork) or network.device != "cpu" else _ClockedNetwork(network)


class _ClockedNetwork(Network):
    """`network`, with the time that its methods take."""

    backend: ClassVar[str] = "clocked"

    def __init__(self, network: Network) -> None:
        super().__init__(network.spec)
        self.inner = network
        self.stand_for(network)
        self._spent = {"network": 0.0, "noise": 0.0, "copies": 0.0}
        if network.weak is not None:
            self.weak = _ClockedNetwork(network.weak)
            self.weak._spent = self._spent

    def split(self, whole: float) -> TimeSplit:
        """The split of the run that this network was made for, which took `whole` seconds."""
        return TimeSplit(rule=max(0.0, whole - sum(self._spent.values())), **self._spent)

    def predict(self, x: Any, t: Any, conditions: Any = None) -> Any:
        with self._clock("network"):
            return self.inner.predict(x, t, conditions)

    def bind(self, like: Any, conditions: Any = None) -> Callable[[Any, Any], Any]:
        call = self.inner.bind(like, conditions)

        def predict(x: Any, t: Any) -> Any:
            with self._clock("network"):
                return call(x, t)

        return predict

    def array(self, values: NDArray[Any]) -> Any:
        with self._clock("copies"):
            return self.inner.array(values)

    def numpy(self, values: Any) -> NDArray[Any]:
        with self._clock("copies"):
            return self.inner.numpy(values)

    def concatenate(self, parts: Sequence[Any]) -> Any:
        with self._clock("copies"):
            return self.inner.concatenate(parts)

    def noise(self, seed: int, ids: NDArray[np.uint64], count: int) -> Callable[[int], Any]:
        with self._clock("noise"):
            draw_noise = self.inner.noise(seed, ids, count)

        def draw(number: int) -> Any:
            with self._clock("noise"):
                return draw_noise(number)

        return draw

    @contextmanager
    def _clock(self, what: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self._spent[what] += time.perf_counter() - started
