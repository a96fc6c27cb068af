"""dtool.compare(...): the same noise through several recipes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from dtool.backends.sampling import Samples, sample
from dtool.compare.frechet import distance, floor
from dtool.compare.result import Comparison, Entry, Quality
from dtool.compare.timing import medians
from dtool.errors import UsageError
from dtool.networks.network import Network
from dtool.networks.spec import PixelStatistics
from dtool.plan.api import plan as make_plan
from dtool.plan.plan import Plan
from dtool.plan.recipe import Recipe

MEASURE = "Fréchet distance of Gaussians fitted to pooled pixels"


def compare(
    network: Network,
    recipes: Sequence[str | Recipe],
    *,
    steps: int | Sequence[int] = (10, 20),
    n: int = 16,
    seed: int = 0,
    labels: int | Sequence[int] | None = None,
    guidance: float | None = None,
    clip: bool | None = None,
    batch_size: int | None = None,
    reference: PixelStatistics | None = None,
    repeats: int = 3,
    progress: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Draw the same n images with each recipe at each number of steps; measure time, distance and quality.

    A few bare network calls warm up; in the `repeats` timed rounds that follow, the recipes take turns.
    labels, guidance, clip, batch_size: as for `dtool.sample`. reference: what quality is measured against (see
    `dtool.compare.statistics`); default the network's own training statistics, if it has them.
    progress(done, total): after every network call. Raises UsageError for what cannot be had.
    """
    names, plans = _plans(network, recipes, [steps] if isinstance(steps, int) else steps)
    if repeats < 1:
        raise UsageError(f"repeats={repeats}: nothing would be timed", "use 1 or more")
    against = reference or network.spec.statistics
    quality = None if against is None else _quality(against, n, given=reference is not None)
    tick = _Ticker(progress, repeats, len(plans))
    first: dict[int, Samples] = {}

    def draw(i: int) -> Samples:
        return sample(
            network, plans[i], n=n, seed=seed, labels=labels, guidance=guidance, clip=clip, batch_size=batch_size,
            progress=tick.run(),
        )  # fmt: skip

    def timed(i: int) -> float:
        out = draw(i)
        first.setdefault(i, out)
        return out.seconds

    warm_up(network, batch_size or network.micro_batch, guidance)
    seconds = medians([partial(timed, i) for i in range(len(plans))], repeats)
    drawn = [first[i] for i in range(len(plans))]
    images = np.stack([out.x0 for out in drawn])
    return Comparison(
        _entries(names, drawn, seconds, against), rmse(images), n, seed, repeats, network.backend, network.device,
        network.shape, network.spec.data_range, quality, images, drawn[0].ids, drawn[0].labels,
    )  # fmt: skip


def _entries(
    names: Sequence[str], drawn: Sequence[Samples], seconds: Sequence[float], against: PixelStatistics | None
) -> tuple[Entry, ...]:
    entries = []
    for name, out, took in zip(names, drawn, seconds, strict=True):
        plan, n = out.plan, len(out.x0)
        quality = None if against is None or n < 2 else distance(out.x0, against)
        speed = n / took if took > 0 else 0.0
        entries.append(Entry(name, plan.recipe, plan.steps, out.calls, plan.hash, took, speed, quality))
    return tuple(entries)


def warm_up(network: Network, batch: int, guidance: float | None, calls: int = 2) -> None:
    """A few network calls of the size that sampling makes, so that the first recipe does not pay for the start."""
    scale = network.spec.guidance if guidance is None else guidance
    size = batch if network.classes == 0 or scale in (0, 1) else 2 * batch
    x = network.array(np.zeros((size, *network.shape), dtype=np.float32))
    t = network.array(np.zeros(size, dtype=np.float32))
    label = network.array(np.zeros(size, dtype=np.int64)) if network.classes else None
    for _ in range(calls):
        network.predict(x, t, label)


def rmse(images: NDArray[np.float32]) -> NDArray[np.float64]:
    """The root mean square difference between every two rows of images (rows, …): (rows, rows)."""
    flat = images.reshape(len(images), -1).astype(np.float64)
    return np.array([[np.sqrt(np.mean((a - b) ** 2)) for b in flat] for a in flat])


def _plans(network: Network, recipes: Sequence[str | Recipe], steps: Sequence[int]) -> tuple[list[str], list[Plan]]:
    """Names and plans, one a recipe and step count; the same one twice counts once."""
    if not recipes:
        raise UsageError("there is no recipe to compare", "name one or more, e.g. ddpm ddim dpmpp-2m/karras")
    if not steps:
        raise UsageError("there is no number of steps", "give one or more, e.g. steps=[10, 20]")
    parsed = [(str(recipe), recipe if isinstance(recipe, Recipe) else Recipe.parse(recipe)) for recipe in recipes]
    found: dict[tuple[str, str], tuple[str, Plan]] = {}
    for name, recipe in parsed:
        for count in sorted(set(steps)):
            plan = make_plan(recipe, steps=count, network=network)
            found.setdefault((plan.recipe, plan.hash), (name, plan))
    return [name for name, _ in found.values()], [plan for _, plan in found.values()]


def _quality(against: PixelStatistics, n: int, given: bool) -> Quality | None:
    if n < 2:
        return None
    name = "the images given" if given else "the network's training images"
    features = len(against.mean)
    return Quality(MEASURE, name, against.count, features, floor(against, n), n > features)


class _Ticker:
    """Network calls over all rounds, told to `progress`."""

    def __init__(self, progress: Callable[[int, int], None] | None, rounds: int, plans: int) -> None:
        self.progress, self.runs = progress, rounds * plans
        self.finished = 0

    def run(self) -> Callable[[int, int], None] | None:
        """The progress function of one run: a thousandth is the finest that a bar shows."""
        if self.progress is None:
            return None

        def called(done: int, total: int) -> None:
            assert self.progress is not None
            self.progress(self.finished * 1000 + 1000 * done // total, self.runs * 1000)
            self.finished += done == total

        return called
