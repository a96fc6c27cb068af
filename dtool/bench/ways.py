"""The ways of drawing the images of one batch, ready to be called in turns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.bench.bare_network import make_bare_run, make_bound_run
from dtool.bench.diffusers_loop import DiffusersLoop
from dtool.bench.entrants import Entrants
from dtool.models.network import Network
from dtool.plan.compiled_plan import Plan
from dtool.plan.guiding import find_double_rows
from dtool.run import batch_size
from dtool.run.noise import normals
from dtool.run.repeated_conditions import NOTHING_TOLD, RepeatedConditions
from dtool.run.sampling import sample

BARE, BOUND, ONE_BATCH = "bare network", "bare network, bound", "bare network, one batch"
HOST, FUSED, EAGER, EAGER_HOST = "dtool.sample", "fused file", "PyTorch eager, bare", "PyTorch eager, dtool.sample"


@dataclass(frozen=True)
class Runner:
    """`run()` is timed, and gives the images if it has any; `prepare()` is called before it, untimed.

    `replay(start)`: its images from the given noise, where those of `run` are from noise of its own.
    """

    name: str
    run: Callable[[], Any]
    prepare: Callable[[], object] | None = None
    replay: Callable[[NDArray[np.float32]], NDArray[Any]] | None = None


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What all ways have in common: plan, guidance, clipping, how many images are run at a time, what they are told."""

    plan: Plan
    guidance: float | None
    clip: bool
    chunk: int | None
    told: RepeatedConditions = NOTHING_TOLD

    def sample_images(self, network: Network, n: int, *, clip: bool | None = None) -> Any:
        """The images `(n, *shape)` of a whole run of `dtool.sample`."""
        clip = self.clip if clip is None else clip
        told = self.told.take(range(n))
        return sample(network, self.plan, n=n, guidance=self.guidance, clip=clip, batch_size=self.chunk, **told).x0

    def draw_start(self, network: Network, n: int) -> NDArray[np.float32]:
        """The noise that `sample_images` begins from."""
        start: NDArray[np.float32] = normals(0, np.arange(n, dtype=np.uint64), 0, network.shape)[0]
        return start

    @property
    def doubled(self) -> NDArray[np.bool_]:
        """The rows of the plan in which guidance runs each image twice, `(rows,)`."""
        if self.guidance is None:
            return np.zeros(self.plan.rows, np.bool_)
        return find_double_rows(self.plan, self.guidance)

    def list_calls(self, batch: int) -> list[tuple[int, int]]:
        """(how many, of how many images) of the network calls that draw `batch` images: guidance runs each twice."""
        twice = int(self.doubled.sum())
        calls = [(self.plan.rows - twice, batch), (twice, 2 * batch)]
        return [(count, size) for count, size in calls if count]

    def call_sizes(self, network: Network, n: int) -> Counter[int]:
        """How many images the calls of `sample_images` run, and how many rounds of the plan's rows are of each size."""
        if self.chunk:
            return Counter({self.chunk: -(-n // self.chunk)})
        return Counter(batch_size.choose_call_sizes(network, n, self.doubled))


def list_runners(entrants: Entrants, work: Workload, n: int) -> list[Runner]:
    """Every way of drawing `n` images, the reference first."""
    main, sizes = entrants.main, work.call_sizes(entrants.main, n)

    def alone(kind: Callable[[Network, int, int], Callable[[], object]], network: Network) -> Callable[[], None]:
        runs = [
            kind(network, calls * count, images)
            for size, count in sizes.items()
            for calls, images in work.list_calls(size)
        ]
        return chain(runs)

    runners = [Runner(BARE, alone(make_bare_run, main))]
    if main.backend == "onnxruntime":
        # on a GPU those are the arrays that are there already
        runners.insert(1 if main.device == "cpu" else 0, Runner(BOUND, alone(make_bound_run, main)))
    if set(sizes) != {n}:
        runners.append(Runner(ONE_BATCH, chain([make_bare_run(main, *calls) for calls in work.list_calls(n)])))
    runners.append(Runner(HOST, partial(work.sample_images, main, n)))
    runners += [Runner(name, partial(work.sample_images, network, n)) for name, network in entrants.others.items()]
    if entrants.fused is not None:
        runners.append(Runner(FUSED, partial(work.sample_images, entrants.fused, n)))
    if entrants.equal is not None:
        labels = np.arange(n) % main.classes if main.classes else None
        guidance = main.spec.guidance if work.guidance is None else work.guidance
        loop = DiffusersLoop(main, entrants.equal, work.plan.steps, labels, guidance, n)
        runners.append(Runner(f"diffusers {entrants.equal.kind}", loop, loop.prepare, loop))
    if entrants.beside is not None:
        runners.append(Runner(EAGER, alone(make_bare_run, entrants.beside)))
        runners.append(Runner(EAGER_HOST, partial(work.sample_images, entrants.beside, n)))
    return runners


def chain(runs: Sequence[Callable[[], object]]) -> Callable[[], None]:
    """All of them, one after the other."""

    def run() -> None:
        for each in runs:
            each()

    return run


def max_difference(one: Any, other: Any) -> float | None:
    """The largest difference of two sets of images; None if one of them is none."""
    if one is None or other is None:
        return None
    return float(np.abs(np.asarray(one, dtype=np.float64) - np.asarray(other, dtype=np.float64)).max())
