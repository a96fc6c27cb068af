"""A network in eight bits: products of uint8 activations and int8 weights, with ranges seen in real runs of a plan."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from math import prod
from typing import Any, ClassVar

import numpy as np
import onnx
from numpy.typing import NDArray

from dtool.backends.sampling import sample
from dtool.errors import DtoolError, UsageError
from dtool.networks.network import Network
from dtool.plan.plan import Plan

Feeds = dict[str, NDArray[Any]]
ROOM = 1 << 28  # bytes of network inputs that are held at a time


def calibration(
    network: Network,
    plan: Plan,
    images: int = 16,
    seed: int = 0,
    labels: int | Sequence[int] | None = None,
    guidance: float | None = None,
    *,
    room: int = ROOM,
) -> Iterator[Feeds]:
    """What the network is given in a run of `plan`, at each of its rows: x `(B, *shape)`, t `(B,)` and label `(B,)`.

    Images 0 … images-1 of `seed`, sampled by the host loop with the network's own guidance and clipping, unless told
    otherwise: with guidance, both halves of the double batch. At most `room` bytes are held at a time, but always one
    row of one image: where a run is larger, it is made again for the next rows, so that every time is seen.
    Raises UsageError as `dtool.sample` does.
    """
    if images < 1:
        raise UsageError(f"{images} images calibrate nothing", "use 1 or more; 16 are usual")
    image = 2 * (4 * prod(network.shape) + 16)
    chunk = max(1, min(images, 16, room // image))
    rows = max(1, min(plan.rows, room // (chunk * image)))
    classes = [labels] * images if isinstance(labels, int) else labels
    for first in range(0, images, chunk):
        ids = range(first, min(first + chunk, images))
        own = None if classes is None else classes[first : ids.stop]
        for row in range(0, plan.rows, rows):
            recorder = _Recorder(network, range(row, row + rows))
            sample(recorder, plan, seed=seed, ids=ids, labels=own, guidance=guidance, batch_size=len(ids))
            yield from recorder.seen


class _Recorder(Network):
    """A network that remembers what it was given in some of its calls."""

    backend: ClassVar[str] = "recorder"

    def __init__(self, network: Network, calls: range) -> None:
        super().__init__(network.spec)
        self.network, self.device, self.calls, self.count = network, network.device, calls, 0
        self.seen: list[Feeds] = []
        self.array, self.numpy = network.array, network.numpy
        self.concatenate, self.noise = network.concatenate, network.noise
