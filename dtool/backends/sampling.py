"""dtool.sample(...): images from a network and a plan, on whatever backend the network is."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dtool import memory
from dtool.arguments import checks_arguments, numbers, require_finite
from dtool.backends import company
from dtool.backends.assumptions import warn_of_assumptions
from dtool.backends.batches import Job, Trace, generated, given, joined
from dtool.backends.fused import FusedNetwork
from dtool.backends.limit import Limit
from dtool.backends.load import with_tensors
from dtool.backends.noise import checked_ids
from dtool.errors import DtoolError, UsageError
from dtool.networks.batch_invariance import require_examined
from dtool.networks.labels import resolve_labels
from dtool.networks.network import Network
from dtool.plan.api import plan as make_plan
from dtool.plan.plan import Plan
from dtool.plan.prediction import for_network
from dtool.plan.recipe import Recipe, recipe_of_file


@dataclass(frozen=True)
class Samples:
    """What a run gave. `x0` `(n, *shape)`: numpy float32, or what the given start was.

    `labels` `(n,)` or None, `ids` `(n,)` or None (own start), `plan` as it was run, `calls` network calls an image,
    `seconds` of wall time, `trace` if asked for.
    """

    x0: Any
    labels: NDArray[np.int64] | None
    ids: NDArray[np.uint64] | None
    plan: Plan
    calls: int
    seconds: float
    trace: Trace | None = None


@checks_arguments
def sample(
    network: Network,
    plan: Plan | Recipe | str | None = None,
    *,
    n: int | None = None,
    seed: int = 0,
    ids: Sequence[int] | None = None,
    labels: int | str | Sequence[int] | Sequence[str] | None = None,
    guidance: float | None = None,
    clip: bool | None = None,
    threshold: float | None = None,
    x: Any = None,
    noise: Any = None,
    steps: int | None = None,
    trace: bool = False,
    batch_size: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Samples:
    """Sample images.

    plan: a Plan (translated for this network if it was made for another), or a recipe, with `steps`; a file that holds
    a sampler has one of its own.
    n: how many images, default 16: those with ids 0 … n-1 of `seed`; or give `ids`. Image i of a seed is the same
    picture on every backend, and the same bits in any batch.
    threshold: dynamic thresholding at this quantile of an image's pixels, e.g. 0.995, instead of clipping.
    labels: a class for all, or one each, by number or by name; -1 means no class. By default image i of a conditional
    network gets class i mod classes. guidance, clip: the network's own by default.
    x: your own start `(B, *shape)`, with `noise` `(draws, B, *shape)` if the plan needs it: `plan.draws` of them, or
    one for each of `plan.rows`. The run then computes in the dtype of `x`, as one batch.
    batch_size: images at a time; the same bits are promised for the same batch_size.
    progress(done, total): after every network call.
    A plan of an inverse rule leads from the images in `x` to their noise, which is then what `x0` of the result holds.
    Raises UsageError for what cannot be had, DtoolError if the result is not finite.
    """
    as_numpy = not _is_tensor(x)
    if x is not None:
        network, x, noise = _on_one_backend(network, x, noise, as_numpy)
    elif noise is not None:
        raise UsageError("noise is given without a start", "give x= too")
    if ids is not None:
        ids = checked_ids(ids).tolist()
    table = _plan_for(network, plan, steps)
    _require_fitting(network, table, x, clip, threshold)
    count = _count(n, ids, x)
    if x is None:
        require_room(network, max(count, batch_size or 0), table.rows if trace else 0)
    classes = _labels(network, labels, ids, count)
    if batch_size is not None and batch_size < 1:
        raise UsageError(f"batch_size {batch_size} is not a number of images", "use 1 or more")
    scale = network.spec.guidance if guidance is None else guidance
    if guidance is not None and guidance != 1 and classes is None:
        raise UsageError("guidance needs a conditional network", "leave out guidance")
    if not 0 <= scale < inf:
        raise UsageError(f"guidance {scale:g} is no scale", "use 0 or more; 1 is none")
    if classes is not None and scale != 1:
        network.require_null_class(f"guidance {scale:g} compares with no class")
    warn_of_assumptions(network, table, from_noise=x is None)
    limit = _limit(network, table, clip, threshold)
    sizes = _sizes(network, table, count, scale, batch_size, given=x is not None)
    called = _counter(progress, table.rows * len(sizes))
    job = Job(network, table, scale, limit, trace, called)
    started = time.perf_counter()
    if x is None:
        names = checked_ids(np.arange(count) if ids is None else ids)
        run = network.generated if isinstance(network, FusedNetwork) else generated
        parts = run(job, seed, names, classes, sizes)
    else:
        names = None
        parts = given(job, x, noise, classes, sizes[0])
    x0, steps_taken = joined(network, parts, count, as_numpy)
    samples = Samples(x0, classes, names, table, table.rows, time.perf_counter() - started, steps_taken)
    if not bool((abs(x0) < np.inf).all()):
        raise DtoolError(
            f"{table.recipe} gave numbers that are not finite",
            "look at the plan (dtool plan), or try --clip (clip=True)",
        )
    return samples


def _sizes(network: Network, plan: Plan, count: int, scale: float, batch_size: int | None, *, given: bool) -> list[int]:
    """How many images each call of the network runs."""
    require_examined(network)
    if given or batch_size:
        chunk = batch_size or count
        return [chunk] * -(-count // chunk)
    return company.sizes(network, count, plan.rows, bool(network.classes) and scale not in (0, 1))


def _is_tensor(value: Any) -> bool:
    """Whether `value` is one of PyTorch's, which is not imported to find out."""
    return type(value).__module__.partition(".")[0] == "torch" and hasattr(value, "detach")


def _on_one_backend(network: Network, x: Any, noise: Any, as_numpy: bool) -> tuple[Network, Any, Any]:
    """The network and the user's arrays, brought together."""
    if as_numpy:
        drawn = None if noise is None else network.array(_host("noise", noise))
        return network, network.array(_host("x", x)), drawn
    network = with_tensors(network)
    place = network.device if network.backend == "torch" else getattr(network, "place", None)
    if place is None:
        return network, _host("x", x), None if noise is None else _host("noise", noise)
    if not _is_tensor(noise):
        noise = None if noise is None else network.array(_host("noise", noise))
    for name, each in (("x", x), ("noise", noise)):
        if each is not None and not (each.is_floating_point() and each.ndim):
            raise UsageError(f"{name} is of type {each.dtype}", "give floating-point numbers: x.float()")
        require_finite(name, each is None or not len(each) or bool(each.min().isfinite() & each.max().isfinite()))
    return network, x.to(place), None if noise is None else noise.to(place)


def _host(name: str, values: Any) -> NDArray[Any]:
    """The user's array, or tensor, as numpy's."""
    shape = "of shape (B, *shape)" if name == "x" else "of shape (draws, B, *shape)"
    return numbers(name, values.detach().cpu() if _is_tensor(values) else values, shape)


def _plan_for(network: Network, plan: Plan | Recipe | str | None, steps: int | None) -> Plan:
    if plan is None:
        if not isinstance(network, FusedNetwork):
            raise UsageError("no sampler is named", "give a plan or a recipe, e.g. 'ddim'")
        own = network.plan
        plan = own if steps in (None, own.steps) else recipe_of_file(own.recipe, "the sampler's file")
    if isinstance(plan, Plan):
        if steps is not None and steps != plan.steps:
            raise UsageError(f"the plan has {plan.steps} steps", "leave out steps, or give a recipe")
        return for_network(plan, network.schedule, network.prediction)
    return make_plan(plan, steps=steps, network=network)


def _require_fitting(network: Network, plan: Plan, x: Any, clip: bool | None, threshold: float | None) -> None:
    """Refuse a plan that asks of the network, or of the caller, what was not given."""
    if plan.learned and not network.spec.learned_variance:
        raise UsageError(
            f"{plan.recipe} takes the variance of its noise from the network, and this network predicts none",
            "use ddpm with sigma=tilde or sigma=beta",
        )
    if plan.inverse and x is None:
        raise UsageError(f"{plan.recipe} leads from an image to its noise", "give the image: x=, of shape (B, *shape)")
    if plan.inverse and (clip or threshold):
        raise UsageError(f"{plan.recipe} cannot clip: what is cut off does not come back", "leave out clip")


def _limit(network: Network, plan: Plan, clip: bool | None, threshold: float | None) -> Limit | None:
    """What predicted images are kept to: the network's own way, or what was asked for."""
    if threshold is not None and clip is False:
        raise UsageError("threshold is a way of clipping, and clip is off", "give one of them")
    quantile = network.threshold if threshold is None else threshold
    clipped = threshold is not None or (network.spec.clip if clip is None else clip)
    return Limit(*network.spec.data_range, quantile) if clipped and not plan.inverse else None


def _count(n: int | None, ids: Sequence[int] | None, x: Any) -> int:
    given = [len(v) for v in (ids, x) if v is not None]
    if len(given) == 2:
        raise UsageError("ids name generated starts, and x is your own", "give one of them")
    count = given[0] if given else (16 if n is None else n)
    if n is not None and n != count:
        raise UsageError(f"n={n}, but {count} starts are given", "leave out n")
    if count < 1:
        raise UsageError(f"n={n} images cannot be sampled", "ask for 1 or more")
    return count


def require_room(network: Network, n: int, traced: int = 0) -> None:
    """Raise UsageError if n images, with a trace of so many calls, do not fit into memory: in parts, then in one array.

    Their ids and classes are counted too.
    """
    each = 2 * 4 * prod(network.shape) * (1 + (2 * traced + 1 if traced else 0)) + 2 * 8
    without = ", or leave out the trace" if traced else ""
    memory.require_room(each * n, f"{n} images of {network.shape}", f"ask for fewer at a time{without}")


def _labels(network: Network, labels: Any, ids: Sequence[int] | None, count: int) -> NDArray[np.int64] | None:
    """The labels of the images, as the network takes them; by default each class in turn, by the images' ids."""
    if labels is None and network.classes:
        return (np.arange(count) if ids is None else checked_ids(ids).astype(np.int64)) % network.classes
    return resolve_labels(network, labels, count)


def _counter(progress: Callable[[int, int], None] | None, total: int) -> Callable[[], None] | None:
    if progress is None:
        return None
    done = 0

    def called() -> None:
        nonlocal done
        done += 1
        progress(done, total)

    return called
