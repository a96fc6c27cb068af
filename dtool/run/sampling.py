"""dtool.sample(...): images from a network and a plan, on whatever backend the network is."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.errors import DtoolError, UsageError
from dtool.guidances.guidance import Guidance
from dtool.models.batch_invariance import check_batch_invariance
from dtool.models.micro_batch import split_evenly
from dtool.models.network import Network
from dtool.plan.compiled_plan import Plan
from dtool.plan.recipe import Recipe
from dtool.run.assumptions import warn_of_assumptions
from dtool.run.batch_size import choose_call_sizes
from dtool.run.clipping import Clipping, Threshold, get_own_threshold, parse_threshold
from dtool.run.editing import GivenImage
from dtool.run.fitted_plan import require_fitted_for
from dtool.run.given_start import is_tensor
from dtool.run.guided_conditions import Request
from dtool.run.micro_batches import SamplingJob, Trace, join_batches, run_generated, run_given
from dtool.run.noise import check_ids
from dtool.run.prediction_check import warn_of_prediction
from dtool.run.sampler_file import FusedNetwork
from dtool.run.sampling_start import Course, Start, resolve_course, resolve_start
from dtool.util.arguments import check_arguments


@dataclass(frozen=True, kw_only=True)
class Samples:
    """What a run gave. `x0` `(n, *shape)`: numpy float32, or what the given start was.

    `labels` `(n,)` or None, `ids` `(n,)` or None (own start), `plan` as it was run, `calls` network calls per image,
    `evaluations` those of them that guidance doubles counted twice, `seconds` of wall time, `trace` if asked for.
    """

    x0: Any
    labels: NDArray[np.int64] | None
    ids: NDArray[np.uint64] | None
    plan: Plan
    calls: int
    evaluations: int
    seconds: float
    trace: Trace | None = None


@check_arguments
def sample(
    network: Network,
    plan: Plan | Recipe | str | None = None,
    *,
    n: int | None = None,
    seed: int = 0,
    ids: Sequence[int] | None = None,
    labels: int | str | Sequence[int] | Sequence[str] | None = None,
    prompt: str | Sequence[str] | None = None,
    negative: str | Sequence[str] | None = None,
    conditions: Mapping[str, Any] | None = None,
    without: Mapping[str, Any] | None = None,
    guidance: float | str | Guidance | None = None,
    weak: Network | None = None,
    clip: bool | None = None,
    threshold: float | str | Threshold | None = None,
    x: Any = None,
    noise: Any = None,
    image: Any = None,
    strength: float | None = None,
    mask: Any = None,
    interpolate: str | Sequence[int] | None = None,
    steps: int | None = None,
    trace: bool = False,
    batch_size: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Samples:
    """Sample images.

    plan: a Plan (translated for this network if it was made for another), or a recipe, with `steps`; a file that holds
    a sampler has one of its own, and of another library's network it is what its makers sample it with, if known.
    n: how many images, default 16: those with ids 0 … n-1 of `seed`; or give `ids`. Image i of a seed is the same
    picture on every backend, and the same bits in any batch.
    threshold: dynamic thresholding at this quantile of an image's pixels, e.g. 0.995, instead of clipping; "0.995:1.5"
    bounds the quantile by 1.5 halves of the data's range.
    labels: a class for all, or one each, by number or by name; -1 means no class. By default image i of a conditional
    network gets class i mod classes. guidance: a scale, for the guidance that the recipe names or else everywhere; or a
    guidance, e.g. "3@-1.3:0.3", of a recipe that names none. weak: a weaker network that guidance compares with instead
    of no conditions (autoguidance), by default `network.weak`. guidance, clip: by default the recipe's or else the
    network's own.
    prompt: of a network with a text encoder, one for all images or one each; negative: what guidance compares with in
    the place of the empty text. conditions: further arrays by name, for all images or one entry each; without: those
    that guidance compares with, where the network has no value that means none, or another is wanted.
    x: your own start `(B, *shape)`, with `noise` `(draws, B, *shape)` if the plan needs it: `plan.draws` of them, or
    one for each of `plan.rows`. The run then computes in the dtype of `x`, as one batch.
    noise="path": what each row adds is the increment of one Brownian path between its levels, so that few steps and
    many come to the same picture (`dtool.run.path_noise`); "rows", the default: each row has noise of its own.
    image: where the run begins instead of noise, `(C, H, W)` for all or one each `(n, C, H, W)`, in the range of the
    network's pictures or uint8; strength: from 0, the image itself, to 1, which begins at noise: the share of the steps
    that are taken, the last ones (default 0.8, with a mask 1). mask: `(H, W)` or one each `(n, 1, H, W)`, 1 where
    the image is drawn anew and 0 where it stays, exactly (`dtool.run.editing`).
    interpolate: "A:B:N", N images between those with ids A and B, told what A is.
    batch_size: images at a time; the same bits are promised for the same batch_size.
    progress(done, total): after every network call.
    A plan of an inverse rule leads from the images in `x` to their noise, which is then what `x0` of the result holds.
    Raises UsageError for what cannot be had, DtoolError if the result is not finite.

    >>> network = dtool.targets.target("gmm:d=2").network()
    >>> out = dtool.sample(network, "dpmpp-2m/karras", steps=8, n=4, seed=0)
    >>> out.x0.shape, out.calls, str(out.x0.dtype)
    ((4, 2), 8, 'float32')
    """
    as_numpy = not is_tensor(x)
    given = GivenImage(image=image, mask=mask, strength=strength)
    network, start = resolve_start(
        network, x=x, noise=noise, ids=ids, given=given, interpolate=interpolate, as_numpy=as_numpy
    )  # fmt: skip
    bounded = parse_threshold(threshold)
    request = Request(labels=labels, prompt=prompt, negative=negative, conditions=conditions, without=without)
    course = resolve_course(
        network, start, request, plan=plan, steps=steps, n=n, guidance=guidance, weak=weak, seed=seed,
        together=batch_size or 0, trace=trace,
    )  # fmt: skip
    if batch_size is not None and batch_size < 1:
        raise UsageError(f"batch_size {batch_size} is not a number of images", "use 1 or more")
    if course.is_untouched and trace:
        raise UsageError("strength 0 takes no step, and has no trace", "leave out the trace")
    if course.is_untouched and not network.decodes:
        return _return_image(course, start)
    warn_of_assumptions(network, course.plan, from_noise=start.x is None and course.is_from_noise)
    warn_of_prediction(network)
    limit = choose_clipping(network, course.plan, clip, bounded)
    require_fitted_for(network, course.plan, course.scale, limit, autoguided=course.autoguided)
    sizes = _choose_sizes(network, course, batch_size, own_start=start.x is not None)
    job = SamplingJob(
        network=network, plan=course.plan, guidance=course.scale, limit=limit, want_trace=trace,
        on_call=_make_counter(progress, course.plan.rows * len(sizes)), weak=course.weak, edit=course.edit,
        path=start.path, path_noise=start.path_noise,
    )  # fmt: skip
    return _run(job, start, course, seed, sizes, as_numpy=as_numpy)


def _run(job: SamplingJob, start: Start, course: Course, seed: int, sizes: Sequence[int], *, as_numpy: bool) -> Samples:
    """The samples of a run that is prepared; raises DtoolError for images that are not finite."""
    network, began = job.network, time.perf_counter()
    if start.x is None:
        places = check_ids(np.arange(course.count) if start.ids is None else start.ids)
        run = network.run_generated if isinstance(network, FusedNetwork) else run_generated
        parts = run(job, seed, places, course.told, sizes)
        names = None if start.path else places
    else:
        names, parts = None, run_given(job, start.x, start.noise, course.told, sizes[0])
    x0, steps_taken = join_batches(network, parts, course.count, as_numpy)
    calls = 0 if course.is_untouched else course.plan.rows
    samples = Samples(
        x0=x0, labels=course.classes, ids=names, plan=course.plan, calls=calls,
        evaluations=calls and calls + int(course.doubled.sum()), seconds=time.perf_counter() - began, trace=steps_taken,
    )  # fmt: skip
    _require_finite_images(x0, course.plan)
    return samples


def _choose_sizes(network: Network, course: Course, batch_size: int | None, *, own_start: bool) -> list[int]:
    """How many images each call of the network runs."""
    check_batch_invariance(network)
    if own_start or batch_size:
        return split_evenly(course.count, batch_size or course.count)
    return choose_call_sizes(network, course.count, course.doubled)


def choose_clipping(network: Network, plan: Plan, clip: bool | None, threshold: Threshold | None) -> Clipping | None:
    """What predicted images are kept to: the network's own way, or what was asked for."""
    if threshold is not None and clip is False:
        raise UsageError("threshold is a way of clipping, and clip is off", "give one of them")
    own = network.threshold if isinstance(network, FusedNetwork) else get_own_threshold(network.spec)
    usual = network.spec.clip and not plan.inverse  # what is cut off does not come back: only if it is asked for
    clipped = threshold is not None or (usual if clip is None else clip)
    return Clipping.for_network(network.spec, threshold or own) if clipped else None


def _require_finite_images(x0: Any, plan: Plan) -> None:
    """Raise DtoolError for images in which the run has left the finite numbers."""
    if not bool((abs(x0) < np.inf).all()):
        raise DtoolError(
            f"{plan.recipe} gave numbers that are not finite",
            "look at the plan (dtool plan), or try --clip (clip=True)",
        )


def _return_image(course: Course, start: Start) -> Samples:
    """What strength 0 gives: the image as it is, after no step of the plan."""
    assert course.edit is not None, "it is untouched"
    names = np.arange(course.count, dtype=np.uint64) if start.ids is None else check_ids(start.ids)
    return Samples(
        x0=course.edit.image, labels=course.classes, ids=names, plan=course.plan, calls=0, evaluations=0, seconds=0.0
    )  # fmt: skip


def _make_counter(progress: Callable[[int, int], None] | None, total: int) -> Callable[[], None] | None:
    if progress is None:
        return None
    done = 0

    def called() -> None:
        nonlocal done
        done += 1
        progress(done, total)

    return called
