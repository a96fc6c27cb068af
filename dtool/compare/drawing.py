"""Drawing for a comparison: recipes take turns while they are timed; then each draws its images, kept as they come."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.arguments import whole_numbers
from dtool.backends.fused import FusedNetwork
from dtool.backends.sampling import Samples, sample
from dtool.compare.parts import PART, Parts
from dtool.compare.split import Split, watch
from dtool.compare.timing import rounds
from dtool.errors import UsageError
from dtool.networks.network import Network
from dtool.plan.plan import Plan

TIMED = 16  # images of a timed run
MOST = 10_000  # images that a budget buys at most
Tell = Callable[[int, int, str], None]


@dataclass
class Drawing:
    """What all recipes of a comparison have in common, and how far it has come.

    labels: classes `(k,)`, repeated for more images; None: image i of a conditional network gets class i mod classes.
    options: guidance, clip and batch_size as for `dtool.sample`. parts: where images are kept. tell(done, total, what):
    after every network call, in network calls of one image.
    """

    network: Network
    plans: Sequence[Plan]
    names: Sequence[str]
    seed: int
    labels: NDArray[np.int64] | None
    options: dict[str, Any]
    parts: Parts | None = None
    tell: Tell | None = None
    first: dict[int, NDArray[np.float32]] = field(default_factory=dict, init=False)  # images that are there
    splits: dict[int, Split | None] = field(default_factory=dict, init=False)  # of the last timed round
    done: int = field(default=0, init=False)
    total: int = field(default=0, init=False)

    def warm_up(self) -> None:
        """An image by each plan where a file holds a whole sampler; else a few network calls of the usual size."""
        if isinstance(self.network, FusedNetwork):
            for plan in self.plans:
                self._run(plan, range(1), None)
            return
        guidance, batch = self.options.get("guidance"), self.options.get("batch_size")
        warm_up(self.network, batch or self.network.micro_batch, guidance)

    def timed(self, count: int, repeats: int) -> list[list[float]]:
        """The seconds that each plan takes for the first `count` images, in each of `repeats` rounds, in turns."""
        self.total += repeats * count * sum(plan.rows for plan in self.plans)

        def one(i: int) -> float:
            watched = watch(self.network)
            out = self._run(self.plans[i], range(count), f"{self.names[i]}: timing", network=watched)
            self.first[i] = np.asarray(out.x0)
            self.splits[i] = None if watched is None else watched.split(out.seconds)
            return out.seconds

        return rounds([partial(one, i) for i in range(len(self.plans))], repeats)

    def resume(self, n: int) -> None:
        """Take up the images that an interrupted run kept, and count the calls that the rest of the n will take."""
        for i, plan in enumerate(self.plans):
            kept = None if self.parts is None else self.parts.read(plan.hash)
            if kept is not None and len(kept) >= len(self.first[i]):
                self.first[i] = kept
            elif self.parts is not None and n > len(self.first[i]):
                self.parts.write(plan.hash, 0, self.first[i])
            self.total += plan.rows * max(0, n - len(self.first[i]))

    def images(self, i: int, n: int) -> NDArray[np.float32]:
        """The first n images of the i-th plan `(n, *shape)`; those that are there already are not drawn again."""
        plan = self.plans[i]
        found = [self.first[i][:n]]
        for start in range(len(self.first[i]), n, PART):
            out = self._run(plan, range(start, min(n, start + PART)), self.names[i])
            found.append(np.asarray(out.x0))
            if self.parts is not None:
                self.parts.write(plan.hash, start, found[-1])
        self.first[i] = np.concatenate([self.first[i], *found[1:]])
        return self.first[i][:n]

    def split(self, i: int, times: float) -> Split | None:
        """Where the time of the i-th plan went in its last timed round, times as much."""
        found = self.splits[i]
        return None if found is None else Split(**{part: times * value for part, value in found.to_dict().items()})

    def traced(self, i: int, count: int) -> Samples:
        """The first `count` images of the i-th plan, with their steps."""
        return self._run(self.plans[i], range(count), None, trace=True)

    def classes(self, ids: Sequence[int]) -> NDArray[np.int64] | None:
        """The classes of these images, None if the network is not conditional."""
        if self.network.classes == 0:
            return None
        index = np.asarray(ids)
        return index % self.network.classes if self.labels is None else self.labels[index % len(self.labels)]

    def _run(
        self, plan: Plan, ids: range, what: str | None, *, trace: bool = False, network: Network | None = None
    ) -> Samples:
        labels = self.classes(ids)
        before, calls = self.done, plan.rows * len(ids)

        def progress(done: int, total: int) -> None:
            self.done = before + calls * done // total
            if self.tell is not None:
                self.tell(self.done, self.total, what or "")

        return sample(
            network or self.network, plan, ids=ids, seed=self.seed, labels=None if labels is None else labels.tolist(),
            trace=trace, progress=None if what is None or self.tell is None else progress, **self.options,
        )  # fmt: skip


def affordable(each: float, least: int, end: float, *, judging: float = 0.0, of: int = 1, most: int = MOST) -> int:
    """How many images of every recipe can be drawn and judged until `end` (`time.monotonic()`), least to most.

    each: seconds for an image of every recipe. judging: what metrics take for `of` images; they compare all with all,
    so that is with the square of their number. A tenth is left over.
    """
    left = 0.9 * (end - time.monotonic())
    if left <= 0:
        return least
    root = sqrt(each**2 + 4 * judging / of**2 * left)  # n solves judging·(n/of)² + each·n = left
    return int(np.clip(2 * left / (each + root) if each + root > 0 else most, least, most))


def warm_up(network: Network, batch: int, guidance: float | None, calls: int = 2) -> None:
    """A few network calls of the size that sampling makes, so that the first recipe does not pay for the start."""
    scale = network.spec.guidance if guidance is None else guidance
    size = batch if network.classes == 0 or scale in (0, 1) else 2 * batch
    x = network.array(np.zeros((size, *network.shape), dtype=np.float32))
    t = network.array(np.zeros(size, dtype=np.float32))
    label = network.array(np.zeros(size, dtype=np.int64)) if network.classes else None
    for _ in range(calls):
        network.predict(x, t, label)


def checked_labels(network: Network, labels: int | Sequence[int] | None, n: int | None) -> NDArray[np.int64] | None:
    """Classes as an array `(k,)`; raises UsageError for what the network has not, or another number than n of them."""
    if labels is None:
        return None
    if network.classes == 0:
        raise UsageError("this network is not conditional", "leave out the classes")
    values = np.atleast_1d(whole_numbers("labels", labels))
    if np.ndim(labels) and n is not None and len(values) != n:
        raise UsageError(f"{len(values)} classes for {n} images", "give one class, or one each")
    return values
