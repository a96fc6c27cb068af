"""dtool.compare(...): the same noise through several recipes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.arguments import checks_arguments, whole_numbers
from dtool.backends.fused import FusedNetwork
from dtool.backends.sampling import require_room
from dtool.compare.contestants import contestants
from dtool.compare.drawing import TIMED, Drawing, affordable, checked_labels
from dtool.compare.law import Law, law_of
from dtool.compare.paired import chance
from dtool.compare.parts import Parts, keeping, key_of
from dtool.compare.result import Comparison, Entry
from dtool.compare.solver import LEAST, References, Solution
from dtool.compare.split import Split
from dtool.compare.verdict import verdict
from dtool.errors import UsageError
from dtool.networks.network import Network
from dtool.plan.plan import Plan
from dtool.plan.recipe import Recipe

SOLVED = 8  # images that the solver's error is measured on: their distances to the solution are paired, so few suffice
STEPS = 512  # of the solution at most; it takes so many only where a recipe comes near to it
JUDGED = 128  # images that a budget tries the metrics on
PAIRED = 256  # images that the recipes' distances to each other are measured on


@checks_arguments
@keeping
def compare(
    network: Network,
    recipes: Sequence[str | Recipe],
    *,
    steps: int | Sequence[int] = (10, 20),
    n: int | None = None,
    seed: int = 0,
    labels: int | Sequence[int] | None = None,
    guidance: float | None = None,
    clip: bool | None = None,
    batch_size: int | None = None,
    reference: Any = None,
    reference_name: str = "the images given",
    metrics: Sequence[str] | None = None,
    solver: bool = True,
    repeats: int = 3,
    budget: float | None = None,
    traces: int = 0,
    keep: Path | Parts | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> Comparison:
    """Draw the same n images with each recipe at each number of steps; measure time, and both errors.

    A few network calls warm up; in the `repeats` timed rounds that follow, the recipes take turns at 16 images.
    n: default 16, or with a budget, in seconds, as many as it buys. labels, guidance, clip, batch_size: as for
    `dtool.sample`. solver: whether the distance to the solution of the probability-flow ODE from the same noise is
    measured. reference: what the law of the samples is compared with: images `(m, *shape)` in the data range, a
    `dtool.metrics.Reference`, a `dtool.targets.Target`, or the statistics of `dtool.compare.statistics`; default those
    that the network has of its training images. metrics: by name, default all that can be had. traces: of how many
    images the steps are kept. keep: a folder for the images as they come: the same comparison goes on from there; no
    two at a time. progress(done, total, what): after every network call. Raises UsageError for what cannot be had.
    """
    if isinstance(network, FusedNetwork) and network.own_plan_alone:
        kind = "takes no plan" if network.inputs.takes else "is frozen"
        hint = "compare the network's own file, or export it without freeze"
        raise UsageError(f"this file {kind}: it runs its own plan alone", hint)
    began = time.monotonic()
    names, plans = contestants(network, recipes, np.atleast_1d(whole_numbers("steps", steps)).tolist())
    _require(n, repeats, budget, traces)
    require_room(network, len(plans) * (n or 0))
    given = checked_labels(network, labels, n)
    settings = {"guidance": guidance, "clip": clip, "batch_size": batch_size}
    kept = keep if isinstance(keep, Parts) else None
    if kept is not None:
        kept.begin(key_of(network, seed=seed, labels=labels, **settings))
    made = partial(law_of, reference, names=metrics, seed=seed, name=reference_name, statistics=network.spec.statistics)
    law = _law(made, n, metrics) if n else None  # before anything is drawn: it may refuse
    drawing = Drawing(network, plans, names, seed, given, settings, kept, progress)
    drawing.warm_up()
    timed = min(n or TIMED, TIMED)
    seconds = drawing.timed(timed, repeats)
    each = [median(s) / timed for s in seconds]
    most = STEPS
    if budget:
        call = max(one / plan.rows for one, plan in zip(each, plans, strict=True))
        most, solving = _solving(call, 0.4 * budget)
        n = _affordable(drawing, made, each, began + budget - (solving if solver else 0))
    n = n or TIMED
    law = law or _law(made, n, metrics)
    drawing.resume(n)
    images = [drawing.images(i, n) for i in range(len(plans))]
    classes = drawing.classes(range(n))
    solved = _references(drawing, min(n, SOLVED), most) if solver else None
    entries = [
        _entry(name, plan, drawn, [s * n / timed for s in took], law, classes, solved, drawing.split(i, n / timed))
        for i, (name, plan, drawn, took) in enumerate(zip(names, plans, images, seconds, strict=True))
    ]
    said = verdict(entries, images, law, classes, _nearer(plans, images, solved))
    steps_of = [drawing.traced(i, min(n, traces)).trace for i in range(len(plans))] if traces else []
    return Comparison(
        tuple(entries), rmse(np.stack([drawn[:PAIRED] for drawn in images])), n, seed, repeats, network.backend,
        network.device, network.shape, network.spec.data_range, said, _worst(plans, solved),
        None if solver else "it was not asked for", law.data if law else None, law.abouts() if law else (),
        np.stack(images), np.arange(n, dtype=np.uint64), classes,
        tuple(trace for trace in steps_of if trace is not None), tuple(plans), network.schedule,
        network.spec.class_names,
    )  # fmt: skip


def _entry(
    name: str, plan: Plan, images: NDArray[np.float32], seconds: Sequence[float], law: Law | None,
    classes: NDArray[np.int64] | None, solved: References | None, split: Split | None,
) -> Entry:  # fmt: skip
    took, n = median(seconds), len(images)
    error, why = (None, "it was not asked for") if solved is None else solved.judge(plan, images[:SOLVED])
    return Entry(
        name, plan.recipe, plan.steps, plan.rows, plan.hash, took, min(seconds), max(seconds),
        n / took if took > 0 else 0.0,
        split, error, why or None, {} if law is None else law.figures(images, classes), points(plan),
    )  # fmt: skip


def _law(made: Callable[[int], Law | None], n: int, metrics: Sequence[str] | None) -> Law | None:
    """The law of n images; raises UsageError for a metric that was named and is known not to be had."""
    law = made(n)
    lacking = [] if law is None or metrics is None else [about for about in law.abouts() if about.skipped]
    if lacking:
        raise UsageError(f"{lacking[0].name}: {lacking[0].skipped}", "draw more images, or leave --metrics out")
    return law


def _affordable(drawing: Drawing, law_of_n: Callable[[int], Law | None], each: Sequence[float], end: float) -> int:
    """How many images of every recipe are drawn and judged until `end`; each: what recipes take for an image."""
    few = affordable(sum(each), TIMED, end, most=JUDGED)
    images = drawing.images(0, few)
    law = law_of_n(few)
    began = time.monotonic()
    if law is not None:
        law.figures(images, drawing.classes(range(few)))
    judging = 2 * len(each) * (time.monotonic() - began)  # the figures, and the tests of one against another
    return affordable(sum(each), TIMED, end, judging=judging, of=few)


def _solving(call: float, seconds: float) -> tuple[int, float]:
    """(how many steps a solution may have, what it then takes) in at most `seconds`, if they suffice for the fewest."""
    most = STEPS
    while most > 2 * LEAST and 2 * most * SOLVED * call > seconds:
        most //= 2
    return most, 2 * most * SOLVED * call


def _references(drawing: Drawing, count: int, most: int) -> References:
    """The solutions of the ODE from the noise of the first `count` images."""
    labels = drawing.classes(range(count))
    return References(drawing.network, n=count, seed=drawing.seed, labels=labels, most=most, **drawing.options)


def _nearer(
    plans: Sequence[Plan], images: Sequence[NDArray[np.float32]], solved: References | None
) -> Callable[[int, int], float]:
    """p of the hypothesis that two plans' images are equally near to the solution, from the same noise."""

    def nearer(i: int, j: int) -> float:
        if solved is None:
            return 1.0
        found = solved.solution(plans[i])
        if solved.solution(plans[j]).start != found.start:
            return 1.0  # two paths: nothing is paired
        return chance(images[i][:SOLVED], images[j][:SOLVED], found.images)

    return nearer


def _worst(plans: Sequence[Plan], solved: References | None) -> Solution | None:
    """Of the solutions that errors were measured against, the one whose own error is the largest."""
    used = [] if solved is None else [solved.solution(plan) for plan in plans if not solved.why_not(plan)]
    return max(used, key=lambda solution: solution.error, default=None)


def points(plan: Plan) -> dict[str, list[float | None]]:
    """Where a plan's steps fall: the network's time, ᾱ and log-SNR at the start of each, and β, 1 - ᾱ over the next."""
    starts = np.flatnonzero(np.concatenate([[True], plan.step_end[:-1]]))
    alpha, sigma = plan.alpha[starts], plan.sigma[starts]
    with np.errstate(divide="ignore"):
        log_snr = 2 * (np.log(alpha) - np.log(sigma))
        bar = alpha**2 / (alpha**2 + sigma**2)
        beta = 1 - bar / np.append(bar[1:], 1.0)
    found = {"time": plan.time[starts], "alpha_bar": bar, "beta": beta, "log_snr": log_snr}
    return {name: values.tolist() for name, values in found.items()}


def rmse(images: NDArray[np.float32]) -> NDArray[np.float64]:
    """The root mean square difference between every two rows of images (rows, …): (rows, rows)."""
    flat = images.reshape(len(images), -1).astype(np.float64)
    return np.array([[np.sqrt(np.mean((a - b) ** 2)) for b in flat] for a in flat])


def _require(n: int | None, repeats: int, budget: float | None, traces: int) -> None:
    """Raise UsageError for numbers that make no comparison."""
    if n is not None and n < 1:
        raise UsageError(f"n={n}: nothing would be drawn", "use 1 or more")
    if repeats < 1:
        raise UsageError(f"repeats={repeats}: nothing would be timed", "use 1 or more")
    if budget is not None and (n is not None or not budget > 0):
        text = "both n and a budget are given" if n is not None else f"budget={budget} is no time"
        raise UsageError(text, "give n, or a budget of some seconds")
    if traces < 0:
        raise UsageError(f"traces={traces} cannot be kept", "use 0 or more")
