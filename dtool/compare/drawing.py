"""Drawing for a comparison: recipes take turns while they are timed; then each draws its images, saved as they come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.compare.kept_images import PART, ImageCache
from dtool.compare.time_shares import TimeSplit, attach_clock
from dtool.measure.timing import take_turns
from dtool.models.conditions import make_trial_conditions
from dtool.models.labels import assign_classes
from dtool.models.network import Network
from dtool.plan.compiled_plan import Plan
from dtool.run.guided_plan import find_compared_rows, uses_comparison
from dtool.run.path_noise import require_path_noise
from dtool.run.prediction_check import warn_of_prediction
from dtool.run.repeated_conditions import NOTHING_TOLD, RepeatedConditions
from dtool.run.sampler_file import FusedNetwork
from dtool.run.sampling import Samples, sample

TIMED_IMAGES = 16  # images of a timed run
LabelledProgress = Callable[[int, int, str], None]


@dataclass(kw_only=True)
class ComparisonSampler:
    """What all recipes of a comparison have in common, and the progress so far.

    labels: classes `(k,)`, repeated for more images; None: image i of a conditional network gets class i mod classes.
    told: prompts and other conditions, repeated in the same way.
    options: clip, batch_size and noise as for `dtool.sample`; guidance is in the plans. parts: where images are saved.
    on_progress(done, total, what): after every network call, in network calls of one image.
    """

    network: Network
    plans: Sequence[Plan]
    names: Sequence[str]
    seed: int
    labels: NDArray[np.int64] | None
    options: dict[str, Any]
    told: RepeatedConditions = NOTHING_TOLD
    parts: ImageCache | None = None
    on_progress: LabelledProgress | None = None
    first: dict[int, NDArray[np.float32]] = field(default_factory=dict, init=False)  # images drawn so far
    splits: dict[int, TimeSplit | None] = field(default_factory=dict, init=False)  # of the last timed round
    done: int = field(default=0, init=False)
    total: int = field(default=0, init=False)

    def warm_up(self) -> None:
        """One image by each plan for a file that is a whole sampler; else a few network calls of the usual size."""
        if isinstance(self.network, FusedNetwork):
            for plan in self.plans:
                self._run(plan, range(1), None)
            return
        warn_of_prediction(self.network)  # here, since it is called with a clock while it is timed
        batch = self.options.get("batch_size")
        doubled = any(find_compared_rows(self.network, plan).any() for plan in self.plans)
        warm_up(self.network, batch or self.network.micro_batch, doubled)

    def time_plans(self, count: int, repeats: int) -> list[list[float]]:
        """The seconds that each plan takes for the first `count` images, in each of `repeats` rounds, in turns."""
        self.total += repeats * count * sum(plan.rows for plan in self.plans)

        def one(i: int) -> float:
            clocked = attach_clock(self.network)
            out = self._run(self.plans[i], range(count), f"{self.names[i]}: timing", network=clocked)
            self.first[i] = np.asarray(out.x0)
            self.splits[i] = None if clocked is None else clocked.split(out.seconds)
            return out.seconds

        return take_turns([partial(one, i) for i in range(len(self.plans))], repeats)

    def resume(self, n: int) -> None:
        """Take up the images that an interrupted run saved, and count the calls that the rest of the n will take."""
        for i, plan in enumerate(self.plans):
            cached = None if self.parts is None else self.parts.read(plan.hash)
            if cached is not None and len(cached) >= len(self.first[i]):
                self.first[i] = cached
            elif self.parts is not None and n > len(self.first[i]):
                self.parts.write(plan.hash, 0, self.first[i])
            self.total += plan.rows * max(0, n - len(self.first[i]))

    def draw_images(self, i: int, n: int) -> NDArray[np.float32]:
        """The first n images of the i-th plan `(n, *shape)`; those that exist already are not drawn again."""
        plan = self.plans[i]
        parts = [self.first[i][:n]]
        for start in range(len(self.first[i]), n, PART):
            out = self._run(plan, range(start, min(n, start + PART)), self.names[i])
            parts.append(np.asarray(out.x0))
            if self.parts is not None:
                self.parts.write(plan.hash, start, parts[-1])
        self.first[i] = np.concatenate([self.first[i], *parts[1:]])
        return self.first[i][:n]

    def draw_block(self, i: int, ids: range) -> NDArray[np.float32]:
        """The images of the i-th plan with these ids: a function of them alone."""
        return np.asarray(self._run(self.plans[i], ids, None).x0)

    def scale_split(self, i: int, times: float) -> TimeSplit | None:
        """Where the time of the i-th plan went in its last timed round, multiplied by `times`."""
        split = self.splits[i]
        return None if split is None else TimeSplit(**{part: times * value for part, value in split.to_dict().items()})

    def draw_traced(self, i: int, count: int) -> Samples:
        """The first `count` images of the i-th plan, with their steps."""
        return self._run(self.plans[i], range(count), None, trace=True)

    def assign_classes(self, ids: Sequence[int]) -> NDArray[np.int64] | None:
        """The classes of these images, None if the network is not conditional."""
        return assign_classes(self.network, ids, self.labels)

    def _run(
        self, plan: Plan, ids: range, what: str | None, *, trace: bool = False, network: Network | None = None
    ) -> Samples:
        labels = self.assign_classes(ids)
        before, calls = self.done, plan.rows * len(ids)

        def progress(done: int, total: int) -> None:
            self.done = before + calls * done // total
            if self.on_progress is not None:
                self.on_progress(self.done, self.total, what or "")

        return sample(
            network or self.network, plan, ids=ids, seed=self.seed, labels=None if labels is None else labels.tolist(),
            trace=trace, progress=None if what is None or self.on_progress is None else progress,
            **self.told.take(ids, compared=uses_comparison(self.network, plan)), **self.options,
        )  # fmt: skip


def choose_settings(
    network: Network, *, clip: bool | None, batch_size: int | None, noise: str | None
) -> dict[str, Any]:
    """What all runs of a comparison are called with; a noise is in it only if it is one path's.

    Raises UsageError for another word, and for a sampler's file, which draws its own.
    """
    settings: dict[str, Any] = {"clip": clip, "batch_size": batch_size}
    if noise is not None and require_path_noise(noise, None, of_file=isinstance(network, FusedNetwork)):
        settings["noise"] = noise
    return settings


def warm_up(network: Network, batch: int, doubled: bool, calls: int = 2) -> None:
    """A few network calls of the size that sampling makes, so that the first recipe does not pay for the start.

    doubled: whether guidance runs each image twice in a call.
    """
    size = 2 * batch if doubled else batch
    x = network.array(np.zeros((size, *network.shape), dtype=np.float32))
    t = network.array(network.tell(np.zeros(size)).astype(np.float32))
    conditions = network.arrays(make_trial_conditions(network.spec, size, np.random.default_rng(0)))
    for _ in range(calls):
        network.predict(x, t, conditions)
