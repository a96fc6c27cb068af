"""dtool.sample(...): images from a network and a plan, on whatever backend the network is."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool.errors import DtoolError, UsageError
from dtool.guidances.guidance import Guidance
from dtool.models.batch_invariance import check_batch_invariance
from dtool.models.micro_batch import split_evenly
from dtool.models.network import Network
from dtool.plan.compiled_plan import Plan
from dtool.plan.guiding import find_double_rows
from dtool.plan.late_plans import start_late
from dtool.plan.recipe import Recipe
from dtool.run.assumptions import warn_of_assumptions
from dtool.run.batch_size import choose_call_sizes
from dtool.run.clipping import Clipping, Threshold, get_own_threshold, parse_threshold
from dtool.run.editing import Edit, GivenImage, resolve_edit
from dtool.run.fitted_plan import require_fitted_for
from dtool.run.given_start import is_tensor, unify_backends
from dtool.run.guided_conditions import Request, resolve_conditions
from dtool.run.guided_plan import require_comparable, resolve_guidance
from dtool.run.interpolation import parse_interpolation
from dtool.run.micro_batches import SamplingJob, Trace, join_batches, run_generated, run_given
from dtool.run.noise import check_ids
from dtool.run.prediction_check import warn_of_prediction
from dtool.run.sampled_plan import require_fitting, resolve_plan
from dtool.run.sampler_file import FusedNetwork
from dtool.run.starts import count_images, refuse_other_starts, refuse_path
from dtool.util import memory
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
    given, path = GivenImage(image=image, mask=mask, strength=strength), parse_interpolation(interpolate)
    if x is not None:
        refuse_other_starts(given, path)
        network, x, noise = unify_backends(network, x, noise, as_numpy)
    elif noise is not None:
        raise UsageError("noise is given without a start", "give x= too")
    if ids is not None:
        ids = check_ids(ids).tolist()
    threshold = parse_threshold(threshold)
    table = resolve_plan(network, plan, steps)
    require_fitting(network, table, x, clip, threshold)
    refuse_path(network, path)
    several = Request(prompt=prompt).length
    count = count_images(path, n, ids, x, given.count(network) if several is None else several)
    edit, conditions = resolve_edit(network, given, conditions, count)
    if edit is not None and edit.strength > 0:
        table = start_late(network, table, edit.strength)
    table, scale = resolve_guidance(network.spec, table, guidance)
    weak = network.weak if weak is None else weak
    require_comparable(network, weak)
    autoguided = weak is not None or network.is_autoguided
    request = Request(
        labels=labels, prompt=prompt, negative=negative, conditions=conditions, without=without, guidance=scale,
        plan=table, weak=autoguided,
    )  # fmt: skip
    if x is None:
        require_room(network, max(count, batch_size or 0), table.rows if trace else 0)
    told, classes, scale = resolve_conditions(network, request, [path.first] * count if path else ids, count)
    if batch_size is not None and batch_size < 1:
        raise UsageError(f"batch_size {batch_size} is not a number of images", "use 1 or more")
    untouched = edit is not None and edit.strength == 0
    if untouched and trace:
        raise UsageError("strength 0 takes no step, and has no trace", "leave out the trace")
    if edit is not None and untouched and not network.decodes:
        return _return_image(edit, table, classes, ids)
    warn_of_assumptions(network, table, from_noise=x is None and (edit is None or edit.strength == 1))
    warn_of_prediction(network)
    limit = choose_clipping(network, table, clip, threshold)
    require_fitted_for(network, table, scale, limit, autoguided=autoguided)
    doubled = np.zeros(table.rows, bool) if told is None and not autoguided else find_double_rows(table, scale)
    sizes = _choose_sizes(network, doubled, count, batch_size, own_start=x is not None)
    on_call = _make_counter(progress, table.rows * len(sizes))
    job = SamplingJob(
        network=network, plan=table, guidance=scale, limit=limit, want_trace=trace, on_call=on_call,
        weak=weak, edit=edit, path=path,
    )  # fmt: skip
    started = time.perf_counter()
    if x is None:
        places = check_ids(np.arange(count) if ids is None else ids)
        run = network.run_generated if isinstance(network, FusedNetwork) else run_generated
        parts = run(job, seed, places, told, sizes)
        names = None if path else places
    else:
        names = None
        parts = run_given(job, x, noise, told, sizes[0])
    x0, steps_taken = join_batches(network, parts, count, as_numpy)
    calls = 0 if untouched else table.rows
    samples = Samples(
        x0=x0, labels=classes, ids=names, plan=table, calls=calls, evaluations=calls and calls + int(doubled.sum()),
        seconds=time.perf_counter() - started, trace=steps_taken,
    )  # fmt: skip
    _require_finite_images(x0, table)
    return samples


def _choose_sizes(
    network: Network, doubled: NDArray[np.bool_], count: int, batch_size: int | None, *, own_start: bool
) -> list[int]:
    """How many images each call of the network runs."""
    check_batch_invariance(network)
    if own_start or batch_size:
        return split_evenly(count, batch_size or count)
    return choose_call_sizes(network, count, doubled)


def choose_clipping(network: Network, plan: Plan, clip: bool | None, threshold: Threshold | None) -> Clipping | None:
    """What predicted images are kept to: the network's own way, or what was asked for."""
    if threshold is not None and clip is False:
        raise UsageError("threshold is a way of clipping, and clip is off", "give one of them")
    own = network.threshold if isinstance(network, FusedNetwork) else get_own_threshold(network.spec)
    clipped = threshold is not None or (network.spec.clip if clip is None else clip)
    return Clipping.for_network(network.spec, threshold or own) if clipped and not plan.inverse else None


def _require_finite_images(x0: Any, plan: Plan) -> None:
    """Raise DtoolError for images in which the run has left the finite numbers."""
    if not bool((abs(x0) < np.inf).all()):
        raise DtoolError(
            f"{plan.recipe} gave numbers that are not finite",
            "look at the plan (dtool plan), or try --clip (clip=True)",
        )


def _return_image(edit: Edit, plan: Plan, classes: Any, ids: Sequence[int] | None) -> Samples:
    """What strength 0 gives: the image as it is, after no step of the plan."""
    names = np.arange(len(edit.image), dtype=np.uint64) if ids is None else check_ids(ids)
    return Samples(x0=edit.image, labels=classes, ids=names, plan=plan, calls=0, evaluations=0, seconds=0.0)


def require_room(network: Network, n: int, traced: int = 0, *, decoded: bool = False) -> None:
    """Raise UsageError if n images, with a trace of so many calls, do not fit into memory: in parts, then in one array.

    Their ids and classes are counted too. decoded: whether what the network's codec makes of them is held as well.
    """
    each = 2 * 4 * prod(network.shape) * (1 + (2 * traced + 1 if traced else 0)) + 2 * 8
    each += 2 * 4 * prod(network.picture_shape) * (decoded and network.codec is not None)
    without = ", or leave out the trace" if traced else ""
    memory.require_room(each * n, f"{n} images of {network.shape}", f"ask for fewer at a time{without}")


def _make_counter(progress: Callable[[int, int], None] | None, total: int) -> Callable[[], None] | None:
    if progress is None:
        return None
    done = 0

    def called() -> None:
        nonlocal done
        done += 1
        progress(done, total)

    return called
