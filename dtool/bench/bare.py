"""The bare network: called as often as a run of a plan calls it, on arrays that are there already, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.networks.network import Network


class _Listener:
    """A session that notes what it is run with."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self.heard: list[tuple[Sequence[str], dict[str, Any]]] = []

    def run(self, names: Sequence[str], feed: dict[str, Any], *options: Any) -> Any:
        self.heard.append((names, feed))
        return self.session.run(names, feed, *options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.session, name)


def bare(network: Network, calls: int, batch: int) -> Callable[[], object]:
    """The backend's own call of a network, `calls` times for `batch` images.

    That is `session.run` on ONNX Runtime, as often as `predict` runs it; the module without gradients on PyTorch; the
    function itself on numpy. What is returned is complete when it ends, on a GPU too.
    """
    arrays = [network.array(value) for value in _inputs(network, batch)]
    heard = _heard(network, arrays)
    if heard:
        return _replayed(network, heard, calls)
    function: Any = getattr(network, "fn", network.predict)

    def repeat() -> None:
        output = None
        for _ in range(calls):
            output = function(*arrays)
        network.numpy(output)  # waits for the device

    return repeat


def _heard(network: Any, arrays: Sequence[Any]) -> list[tuple[Sequence[str], dict[str, Any]]]:
    """What `predict` runs its session with; nothing if there is none, or its arrays are bound."""
    session = getattr(network, "session", None)
    if session is None:
        return []
    network.session = listener = _Listener(session)
    try:
        network.predict(*arrays)
    finally:
        network.session = session
    return listener.heard


def _replayed(network: Any, heard: Sequence[tuple[Sequence[str], dict[str, Any]]], calls: int) -> Callable[[], object]:
    """The same runs of the session, again and again."""

    def run() -> None:
        for _ in range(calls):
            for names, feed in heard:
                network.session.run(names, feed)

    return run


def bound(network: Network, calls: int, batch: int) -> Callable[[], object]:
    """The same in the buffers that the network keeps bound for a run: as the host loop calls it."""
    values = _inputs(network, batch)
    x, t, *label = [network.array(value) for value in values]
    call = network.bound(x, *label)

    def repeat() -> None:
        output = None
        for _ in range(calls):
            output = call(x, t)
        network.numpy(output)

    return repeat


def _inputs(network: Network, batch: int) -> list[NDArray[Any]]:
    """x `(B, *shape)`, t `(B,)` and, if the network has classes, label `(B,)`."""
    x = np.random.default_rng(0).standard_normal((batch, *network.shape), dtype=np.float32)
    values: list[NDArray[Any]] = [x, np.full(batch, network.schedule.T // 2, dtype=np.float32)]
    return [*values, np.arange(batch) % network.classes] if network.classes else values
