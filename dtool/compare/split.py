"""Where the time of a run goes: the network, the rule's own sums, the noise, copies between host and device."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dtool.backends.fused import FusedNetwork
from dtool.networks.network import Network


@dataclass(frozen=True)
class Split:
    """Seconds of one run, whose sum is the whole of it; `rule` is what is left beside the others."""

    network: float
    rule: float
    noise: float
    copies: float

    def to_dict(self) -> dict[str, float]:
        """As JSON can hold it."""
        return asdict(self)


def watch(network: Network) -> _Watched | None:
    """The network with a clock; None for a sampler in a file, which is one call, and a GPU, which works on."""
    return None if isinstance(network, FusedNetwork) or network.device != "cpu" else _Watched(network)


class _Watched(Network):
    """`network`, and how long what is asked of it takes."""

    backend: ClassVar[str] = "watched"

    def __init__(self, network: Network) -> None:
        super().__init__(network.spec)
        self.inner, self.device, self.micro_batch = network, network.device, network.micro_batch
        self.mixes = bool(network.mixes)  # tried out here it would be called where only the run should
        self.company, self.one_size = network.company, network.one_size
        self._spent = {"network": 0.0, "noise": 0.0, "copies": 0.0}

    def split(self, whole: float) -> Split:
        """Of the run that this network was made for, which took `whole` seconds."""
        return Split(rule=max(0.0, whole - sum(self._spent.values())), **self._spent)

    def predict(self, x: Any, t: Any, label: Any = None) -> Any:
        with self._on("network"):
            return self.inner.predict(x, t, label)

    def bound(self, like: Any, label: Any = None) -> Callable[[Any, Any], Any]:
        call = self.inner.bound(like, label)

        def predict(x: Any, t: Any) -> Any:
            with self._on("network"):
                return call(x, t)

        return predict

    def array(self, values: NDArray[Any]) -> Any:
        with self._on("copies"):
            return self.inner.array(values)

    def numpy(self, values: Any) -> NDArray[Any]:
        with self._on("copies"):
            return self.inner.numpy(values)

    def concatenate(self, parts: Sequence[Any]) -> Any:
        with self._on("copies"):
            return self.inner.concatenate(parts)

    def noise(self, seed: int, ids: NDArray[np.uint64], count: int) -> Callable[[int], Any]:
        with self._on("noise"):
            made = self.inner.noise(seed, ids, count)

        def draw(number: int) -> Any:
            with self._on("noise"):
                return made(number)

        return draw

    @contextmanager
    def _on(self, what: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self._spent[what] += time.perf_counter() - started
