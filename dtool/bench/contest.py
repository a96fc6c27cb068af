"""The ways of drawing the images of one batch, ready to be called in turns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.backends import company
from dtool.backends.noise import normals
from dtool.backends.sampling import sample
from dtool.bench.bare import bare, bound
from dtool.bench.diffusers_loop import DiffusersLoop
from dtool.bench.entrants import Entrants
from dtool.networks.network import Network
from dtool.plan.plan import Plan

BARE, BOUND, ONE_BATCH = "bare network", "bare network, bound", "bare network, one batch"
HOST, FUSED, EAGER, EAGER_HOST = "dtool.sample", "fused file", "PyTorch eager, bare", "PyTorch eager, dtool.sample"


@dataclass(frozen=True)
class Way:
    """`run()` is timed, and gives the images if it has any; `prepare()` is called before it, untimed.

    `replay(start)`: its images from the given noise, where those of `run` are from noise of its own.
    """

    name: str
    run: Callable[[], Any]
    prepare: Callable[[], object] | None = None
    replay: Callable[[NDArray[np.float32]], NDArray[Any]] | None = None


@dataclass(frozen=True)
class Work:
    """What all ways have in common: plan, guidance, clipping, and how many images are run at a time, if given."""

    plan: Plan
    guidance: float | None
    clip: bool
    chunk: int | None

    def host(self, network: Network, n: int, *, clip: bool | None = None) -> Any:
        """The images `(n, *shape)` of a whole run of `dtool.sample`."""
        clip = self.clip if clip is None else clip
        return sample(network, self.plan, n=n, guidance=self.guidance, clip=clip, batch_size=self.chunk).x0

    def start(self, network: Network, n: int) -> NDArray[np.float32]:
        """The noise that `host` begins from."""
        start: NDArray[np.float32] = normals(0, np.arange(n, dtype=np.uint64), 0, network.shape)[0]
        return start

    def doubled(self, batch: int) -> int:
        """Images in a network call that draws `batch` of them: guidance runs each twice."""
        return batch if self.guidance in (None, 0, 1) else 2 * batch

    def sizes(self, network: Network, n: int) -> Counter[int]:
        """How many images the calls of `host` run, and how many rounds of the plan's rows there are of each size."""
        if self.chunk:
            return Counter({self.chunk: -(-n // self.chunk)})
        return Counter(company.sizes(network, n, self.plan.rows, self.doubled(1) == 2))


def ways(entrants: Entrants, work: Work, n: int) -> list[Way]:
    """Every way of drawing `n` images, the reference first."""
    main, sizes = entrants.main, work.sizes(entrants.main, n)

    def alone(kind: Callable[[Network, int, int], Callable[[], object]], network: Network) -> Callable[[], None]:
        runs = [kind(network, work.plan.rows * count, work.doubled(size)) for size, count in sizes.items()]

        def run() -> None:
            for each in runs:
                each()

        return run

    found = [Way(BARE, alone(bare, main))]
    if main.backend == "onnxruntime":
        # on a GPU those are the arrays that are there already
        found.insert(1 if main.device == "cpu" else 0, Way(BOUND, alone(bound, main)))
    if set(sizes) != {n}:
        found.append(Way(ONE_BATCH, bare(main, work.plan.rows, work.doubled(n))))
    found.append(Way(HOST, partial(work.host, main, n)))
    found += [Way(name, partial(work.host, network, n)) for name, network in entrants.others.items()]
    if entrants.fused is not None:
        found.append(Way(FUSED, partial(work.host, entrants.fused, n)))
    if entrants.equal is not None:
        labels = np.arange(n) % main.classes if main.classes else None
        guidance = main.spec.guidance if work.guidance is None else work.guidance
        loop = DiffusersLoop(main, entrants.equal, work.plan.steps, labels, guidance, n)
        found.append(Way(f"diffusers {entrants.equal.kind}", loop, loop.prepare, loop))
    if entrants.beside is not None:
        found.append(Way(EAGER, alone(bare, entrants.beside)))
        found.append(Way(EAGER_HOST, partial(work.host, entrants.beside, n)))
    return found


def difference(one: Any, other: Any) -> float | None:
    """The largest difference of two sets of images; None if one of them is none."""
    if one is None or other is None:
        return None
    return float(np.abs(np.asarray(one, dtype=np.float64) - np.asarray(other, dtype=np.float64)).max())
