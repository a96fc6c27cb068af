"""dtool.compare(...): the same noise through several recipes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from dtool.compare.contestants import list_contestants
from dtool.compare.drawing import TIMED_IMAGES, ComparisonSampler, choose_settings
from dtool.compare.drawn_images import draw_timed, draw_untimed
from dtool.compare.kept_images import ImageCache, cache_images, make_cache_key
from dtool.compare.law_error import Law, make_law
from dtool.compare.paired_errors import SolverErrorEstimate, paired_p_value
from dtool.compare.result import Comparison, ComparisonEntry, locate_steps
from dtool.compare.solver import ReferenceSolutions
from dtool.compare.step_doubling import Solution
from dtool.compare.time_shares import TimeSplit
from dtool.compare.verdict import write_verdict
from dtool.compare.work_sharing import HELD_PLANS, PlanImages, WorkSharing
from dtool.errors import UsageError
from dtool.guidances.guidance import Guidance
from dtool.metrics import Figure
from dtool.models.labels import check_labels
from dtool.models.network import Network
from dtool.plan.compiled_plan import Plan
from dtool.plan.recipe import Recipe
from dtool.run.guided_conditions import Request, ToldOptions
from dtool.run.guided_plan import choose_told_scale, find_compared_rows, get_scale
from dtool.run.image_room import require_room
from dtool.run.repeated_conditions import repeat_conditions
from dtool.run.sampler_file import FusedNetwork
from dtool.util.arguments import as_integers, check_arguments

# images that the solver's error is measured on: their distances to the solution are paired, so few suffice
SOLVER_IMAGES = 8
STEPS = 512  # of the solution at most; it takes so many only where a recipe comes near to it
PAIRED_IMAGES = 256  # images that the recipes' distances to each other are measured on


@check_arguments
@cache_images
def compare(
    network: Network,
    recipes: Sequence[str | Recipe],
    *,
    steps: int | Sequence[int] = (10, 20),
    n: int | None = None,
    seed: int = 0,
    labels: int | Sequence[int] | None = None,
    guidance: float | str | Guidance | Sequence[float | str | Guidance] | None = None,
    clip: bool | None = None,
    noise: str | None = None,
    batch_size: int | None = None,
    reference: Any = None,
    reference_name: str = "the images given",
    metrics: Sequence[str] | None = None,
    solver: bool = True,
    repeats: int = 3,
    budget: float | None = None,
    traces: int = 0,
    keep: Path | ImageCache | None = None,
    sharing: WorkSharing | None = None,
    progress: Callable[[int, int, str], None] | None = None,
    **told_options: Unpack[ToldOptions],
) -> Comparison:
    """Draw the same n images with each recipe at each number of steps; measure time, and both errors.

    A few network calls warm up; in the `repeats` timed rounds that follow, the recipes take turns at 16 images.
    n: default 16, or as many as fit into `budget`, in seconds. guidance: for the recipes that name none, a scale or
    e.g. "3@-1.3:0.3"; of several, each is a row of its own. labels, clip, batch_size, noise ("rows" or "path"): as for
    `dtool.sample`; so are prompt, negative, conditions and without, of which image i gets the one at i modulo their
    number. Of a network with a codec, pictures and metrics are of what it decodes. solver: whether the distance to the
    solution of the probability-flow ODE from the same noise is measured. reference: what the law of the samples is
    compared with: images `(m, *shape)` in the data range, a `dtool.metrics.Reference`, a `dtool.targets.Target`, or
    the statistics of `dtool.compare.statistics`; default those that the network has of its training images. metrics:
    by name, default all that can be computed. traces: of how many images the steps are kept. keep: a folder where
    images are saved as they come, so that the same comparison goes on from there; one comparison at a time.
    sharing: processes or machines that draw blocks of images: the comparison has the same bytes whoever drew which;
    nothing is timed, and the result keeps the first few images. progress(done, total, what): after every network call.
    Raises UsageError for options that do not fit together or do not fit the network, UnfinishedError before the last
    part of a comparison.

    >>> network = dtool.targets.target("gmm:d=2").network()
    >>> comparison = dtool.compare(network, ["ddim", "heun"], steps=4, n=16)
    >>> [(entry.name, entry.calls) for entry in comparison.entries]
    [('ddim', 4), ('heun', 7)]
    """
    _refuse_fixed_plan(network)
    began = time.monotonic()
    counts = np.atleast_1d(as_integers("steps", steps)).tolist()
    names, plans = list_contestants(network, recipes, counts, guidance)
    _check_arguments(n, repeats, budget, traces, sharing)
    require_room(network, (len(plans) if sharing is None else HELD_PLANS) * (n or 0))
    fixed_labels = check_labels(network, labels, n)
    settings = choose_settings(network, clip=clip, batch_size=batch_size, noise=noise)
    told = repeat_conditions(network, Request(**told_options, guidance=choose_told_scale(network, plans)))
    cache = keep if isinstance(keep, ImageCache) else None
    key: dict[str, Any] = {}
    depends = {"seed": seed, "labels": labels, **told.describe(), **settings}
    if cache is not None or sharing is not None:
        key = make_cache_key(network, () if sharing is None else sharing.files, **depends)
    if cache is not None:
        cache.set_key(key)
    own_statistics = network.spec.statistics
    law_of = partial(make_law, reference, names=metrics, seed=seed, name=reference_name, statistics=own_statistics)
    law = _prepare_law(law_of, n, metrics) if n else None  # before anything is drawn, since it may raise
    drawing = ComparisonSampler(
        network=network, plans=plans, names=names, seed=seed, labels=fixed_labels, options=settings, told=told,
        parts=cache, on_progress=progress,
    )  # fmt: skip
    if sharing is None:
        solving = SOLVER_IMAGES if solver else 0
        drawn = draw_timed(drawing, law_of, n, repeats, began=began, budget=budget, solver_images=solving, most=STEPS)
    else:
        repeats = 0
        drawn = draw_untimed(drawing, sharing, key, cache, n or TIMED_IMAGES, STEPS)
    images, n, most = drawn.images, drawn.n, drawn.most
    law = law or _prepare_law(law_of, n, metrics)
    classes = drawing.assign_classes(range(n))
    pictures: Sequence[NDArray[np.float32]] = PlanImages(lambda i: network.to_pictures(images[i]), len(plans))
    pictures = list(pictures) if sharing is None else pictures
    references = _make_references(drawing, min(n, SOLVER_IMAGES), most) if solver else None
    entries: list[ComparisonEntry] = []
    first: list[NDArray[np.float32]] = []
    for i, plan in enumerate(plans):
        entries.append(_make_entry(
            network, plan, names[i], drawn.seconds[i], n, drawn.splits[i],
            _judge(references, plan, images[i]), {} if law is None else law.figures(pictures[i], classes),
        ))  # fmt: skip
        first.append(pictures[i][:PAIRED_IMAGES].copy())
    verdict = write_verdict(entries, pictures, law, classes, _make_solver_test(plans, images, references))
    runs = [drawing.draw_traced(i, min(n, traces)) for i in range(len(plans))] if traces else []
    return Comparison(
        entries=tuple(entries), rmse=rmse(np.stack(first)), n=n, seed=seed, repeats=repeats,
        backend=network.backend, device=network.device, shape=network.picture_shape,
        data_range=network.picture_range, verdict=verdict, solution=_find_worst(plans, references),
        why_no_solution=None if solver else "it was not asked for", data=law.data if law else None,
        metrics=law.describe_metrics() if law else (), images=np.stack(pictures if sharing is None else first),
        ids=np.arange(n, dtype=np.uint64), labels=classes, plans=tuple(plans),
        traces=tuple(run.trace for run in runs if run.trace is not None),
        schedule=network.schedule, class_names=network.spec.class_names, told=told, codec=network.codec,
        noise=settings.get("noise", "rows"),
    )  # fmt: skip


def _refuse_fixed_plan(network: Network) -> None:
    """Raise UsageError for a file that runs its own plan and no other."""
    if isinstance(network, FusedNetwork) and network.has_fixed_plan:
        kind = "takes no plan" if network.inputs.takes else "is frozen"
        hint = "compare the network's own file, or export it without freeze"
        raise UsageError(f"this file {kind}: it runs its own plan alone", hint)


def _make_entry(
    network: Network, plan: Plan, name: str, seconds: Sequence[float], n: int, split: TimeSplit | None,
    judged: tuple[SolverErrorEstimate | None, str], law_error: dict[str, Figure],
) -> ComparisonEntry:  # fmt: skip
    median_time, (error, why) = median(seconds), judged
    return ComparisonEntry(
        name=name, recipe=plan.recipe, guidance=plan.guidance, scale=get_scale(network.spec, plan), steps=plan.steps,
        calls=plan.rows, evaluations=plan.rows + int(find_compared_rows(network, plan).sum()), plan=plan.hash,
        seconds=median_time,
        seconds_low=min(seconds), seconds_high=max(seconds),
        images_per_second=0.0 if median_time == 0 else n / median_time, timing=split, solver=error,
        why_no_solver=why or None, figures=law_error, points=locate_steps(plan),
    )  # fmt: skip


def _judge(
    references: ReferenceSolutions | None, plan: Plan, images: NDArray[np.float32]
) -> tuple[SolverErrorEstimate | None, str]:
    """The solver error of what a plan drew, in the space that the network samples in, or why there is none."""
    if references is None:
        return None, "it was not asked for"
    return references.judge(plan, images[:SOLVER_IMAGES])


def _prepare_law(law_of: Callable[[int], Law | None], n: int, metrics: Sequence[str] | None) -> Law | None:
    """The law of n images; raises UsageError for a named metric that cannot be computed."""
    law = law_of(n)
    skipped = [] if law is None or metrics is None else [metric for metric in law.describe_metrics() if metric.skipped]
    if skipped:
        raise UsageError(f"{skipped[0].name}: {skipped[0].skipped}", "draw more images, or leave --metrics out")
    return law


def _make_references(drawing: ComparisonSampler, count: int, most: int) -> ReferenceSolutions:
    """The solutions of the ODE from the noise of the first `count` images."""
    ids = range(count)
    return ReferenceSolutions(
        drawing.network, n=count, seed=drawing.seed, labels=drawing.assign_classes(ids), most=most,
        **drawing.told.take(ids), **drawing.options,
    )  # fmt: skip


def _make_solver_test(
    plans: Sequence[Plan], images: Sequence[NDArray[np.float32]], references: ReferenceSolutions | None
) -> Callable[[int, int], float]:
    """p of the hypothesis that two plans' images are equally near to the solution, from the same noise."""

    def nearer(i: int, j: int) -> float:
        if references is None:
            return 1.0
        if not references.follow_one_path(plans[i], plans[j]):
            return 1.0  # nothing is paired
        solution = references.solution(plans[i])
        return paired_p_value(images[i][:SOLVER_IMAGES], images[j][:SOLVER_IMAGES], solution.images)

    return nearer


def _find_worst(plans: Sequence[Plan], references: ReferenceSolutions | None) -> Solution | None:
    """Of the solutions that errors were measured against, the one whose own error is the largest."""
    used = (
        []
        if references is None
        else [references.solution(plan) for plan in plans if not references.find_obstacle(plan)]
    )
    return max(used, key=lambda solution: solution.error, default=None)


def rmse(images: NDArray[np.float32]) -> NDArray[np.float64]:
    """The root mean square difference between every two rows of images (rows, …): (rows, rows)."""
    flat = images.reshape(len(images), -1).astype(np.float64)
    return np.array([[np.sqrt(np.mean((a - b) ** 2)) for b in flat] for a in flat])


def _check_arguments(
    n: int | None, repeats: int, budget: float | None, traces: int, sharing: WorkSharing | None
) -> None:
    """Raise UsageError for numbers out of range."""
    if sharing is not None and budget is not None:
        raise UsageError("a budget is of one process, and the work is shared", "say how many images: -n (n=)")
    if n is not None and n < 1:
        raise UsageError(f"n={n}: nothing would be drawn", "use 1 or more")
    if repeats < 1:
        raise UsageError(f"repeats={repeats}: nothing would be timed", "use 1 or more")
    if budget is not None and (n is not None or not budget > 0):
        text = "both n and a budget are given" if n is not None else f"budget={budget} is not a time"
        raise UsageError(text, "give n, or a budget in seconds")
    if traces < 0:
        raise UsageError(f"traces={traces} cannot be kept", "use 0 or more")
