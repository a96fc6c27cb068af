"""The bare network: called as often as a run of a plan calls it, on arrays that are there already, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from dtool.models.conditions import LABEL, Conditions, make_trial_conditions, split_label
from dtool.models.labels import assign_classes
from dtool.models.network import Network


class _RecordingSession:
    """A session that notes what it is run with."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self.recorded: list[tuple[Sequence[str], dict[str, Any]]] = []

    def run(self, names: Sequence[str], feed: dict[str, Any], *options: Any) -> Any:
        self.recorded.append((names, feed))
        return self.session.run(names, feed, *options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.session, name)


def make_bare_run(network: Network, calls: int, batch: int) -> Callable[[], object]:
    """The backend's own call of a network, `calls` times for `batch` images.

    That is `session.run` on ONNX Runtime, as often as `predict` runs it; the module without gradients on PyTorch; the
    function itself on numpy. What is returned is complete when it ends, on a GPU too.
    """
    x, t, told = _make_inputs(network, batch)
    heard = _record_calls(network, x, t, told)
    if heard:
        return _make_replay(network, heard, calls)
    label, others = split_label(told)
    function: Any = getattr(network, "fn", None)
    call = partial(network.predict, x, t, told) if function is None else partial(function, x, t, *label, **others)

    def repeat() -> None:
        output = None
        for _ in range(calls):
            output = call()
        network.numpy(output)  # waits for the device

    return repeat


def _record_calls(network: Any, x: Any, t: Any, told: Conditions) -> list[tuple[Sequence[str], dict[str, Any]]]:
    """What `predict` runs its session with; nothing if there is none, or its arrays are bound."""
    session = getattr(network, "session", None)
    if session is None:
        return []
    network.session = listener = _RecordingSession(session)
    try:
        network.predict(x, t, told)
    finally:
        network.session = session
    return listener.recorded


def _make_replay(
    network: Any, heard: Sequence[tuple[Sequence[str], dict[str, Any]]], calls: int
) -> Callable[[], object]:
    """The same runs of the session, again and again."""

    def run() -> None:
        for _ in range(calls):
            for names, feed in heard:
                network.session.run(names, feed)

    return run


def make_bound_run(network: Network, calls: int, batch: int) -> Callable[[], object]:
    """The same in the buffers that the network keeps bound for a run: as the host loop calls it."""
    x, t, told = _make_inputs(network, batch)
    call = network.bind(x, told)

    def repeat() -> None:
        output = None
        for _ in range(calls):
            output = call(x, t)
        network.numpy(output)

    return repeat


def _make_inputs(network: Network, batch: int) -> tuple[Any, Any, Conditions]:
    """x `(B, *shape)`, t `(B,)` and the conditions, the network's own arrays."""
    random = np.random.default_rng(0)
    x = random.standard_normal((batch, *network.shape), dtype=np.float32)
    t = network.tell(np.full(batch, network.schedule.T // 2)).astype(np.float32)
    told = make_trial_conditions(network.spec, batch, random)
    label = assign_classes(network, range(batch))
    if label is not None:
        told[LABEL] = label
    return network.array(x), network.array(t), network.arrays(told)
